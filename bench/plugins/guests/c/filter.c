/* A filter that looks at every byte of a message: none may have an at sign in it. */
#include "heddle.h"

void heddle_event(heddle_event_t *e) {
    if (heddle_on(e, S("message:send")) && heddle_find(heddle_payload(e), S("@")) >= 0)
        heddle_invalid(e, S("data: no addresses"));
}
