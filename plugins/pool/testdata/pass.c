/* Guest for the tests: it looks at what is beside the payload, and does as the action says. */
#include "heddle.h"

static volatile uint32_t turns;
static char text[64];

void heddle_event(heddle_event_t *e) {
    heddle_buf b = HEDDLE_BUF(text);
    if (heddle_on(e, S("spin")))
        for (;;) turns++;
    if (heddle_room(e).len == 0 && heddle_on(e, S("refuse"))) heddle_forbid(e, S("no room"));
    if (heddle_on(e, S("count"))) heddle_count(S("counted"), 1);
    if (heddle_on(e, S("put"))) { /* something is done between reading and writing */
        heddle_kv_put(S("key"), S("some text"), 0);
        heddle_lookup_presence(S("ann"), &b);
        heddle_kv_add(S("other"), 1, 0, NULL);
        heddle_count(S("put"), 1);
    }
    if (heddle_on(e, S("trap"))) {
        heddle_count(S("trapped"), 1);
        heddle_lookup_presence(S("ann"), &b);
        __builtin_trap();
    }
}
