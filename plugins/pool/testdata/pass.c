/* Guest for the tests: it looks at what is beside the payload, and does as the action says. */
#include "heddle.h"

static volatile uint32_t turns;

void heddle_event(heddle_event_t *e) {
    if (heddle_on(e, S("spin")))
        for (;;) turns++;
    if (heddle_room(e).len == 0 && heddle_on(e, S("refuse"))) heddle_forbid(e, S("no room"));
}
