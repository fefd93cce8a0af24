/* Refuses messages whose text is longer than the config says: {"max":2000}. */
#include "heddle.h"

static uint32_t max = 2000; /* as it is after heddle_start, every instance has it */

heddle_status heddle_start(heddle_str config) {
    heddle_str value;
    if (!heddle_json_get(config, S("max"), &value)) return HEDDLE_OK;
    max = 0;
    for (uint32_t i = 0; i < value.len; i++) {
        int digit = heddle_at(value, i) - '0';
        if (digit < 0 || digit > 9 || max > 1000000) return heddle_fail(S("max: not a number of bytes"));
        max = max * 10 + (uint32_t)digit;
    }
    return HEDDLE_OK;
}

void heddle_event(heddle_event_t *e) {
    heddle_str text;
    if (!heddle_on(e, S("message:send"))) return;
    if (!heddle_json_string(heddle_payload(e), S("text"), &text))
        heddle_invalid(e, S("data.text: must be a string"));
    else if (text.len > max)
        heddle_invalid(e, S("data.text: too long"));
}
