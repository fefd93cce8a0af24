/* The plugin of guests/heddle in C: the action says what it does. */
#include "heddle.h"

void heddle_event(heddle_event_t *e) {
    if (heddle_on(e, S("bench:echo"))) {
        heddle_replace(e, heddle_payload(e));
    } else if (heddle_on(e, S("bench:meta"))) {
        if (heddle_equal(heddle_user(e), S("mallory")) || heddle_equal(heddle_room(e), S("conv:closed")))
            heddle_forbid(e, S("not here"));
    } else if (heddle_on(e, S("bench:spin"))) {
        for (volatile uint32_t i = 0;; i++) {
        }
    }
}
