/* Replaces what identifies people in the member "text" of a payload: e-mail addresses,
 * phone numbers, IBANs and payment cards.
 *
 * A payload is gone over once, as the bytes of JSON that it is. What stands for a finding
 * is never longer, so that the payload is changed where it lies: a message without
 * findings is not copied at all, nothing is allocated, and the output always fits. */
#include "heddle.h"

#include "text.h"

#include "email.h"
#include "iban.h"
#include "number.h"

/* One look at a payload. */
typedef struct {
    byte *end;      /* of the payload: behind its last bracket */
    byte *out;      /* where the next bytes go that stay */
    byte *done;     /* what is before this has gone there, or was replaced */
    uint32_t found; /* findings; before the first one out and done mean nothing */
    bool disguised; /* escapes hide letters or digits: the look is over */
} look;

/* Moves the bytes that stay, up to here. */
static void keep(look *l, byte *until) {
    while (l->done < until) *l->out++ = *l->done++;
}

static void replace(look *l, finding f) {
    if (l->found++ == 0) l->out = l->done = f.from;
    keep(l, f.from);
    for (uint32_t i = 0; i < f.label.len; i++) *l->out++ = (byte)f.label.at[i];
    l->done = f.to;
}

/* Goes over the inside of a string, and returns where its second quote is. */
static byte *scan(look *l, byte *p) {
    byte *floor = p; /* what is before belongs to something else */
    while ((p = next_mark(p, l->end)) < l->end && *p != '"') {
        finding f = nothing;
        if (*p == '\\') {
            if ((l->disguised = hides(p, l->end))) return p;
            floor = p = behind_escape(p, l->end);
            continue;
        }
        if (*p == '@') {
            f = email(p, floor);
        } else {
            f = iban(p, floor);
            if (!f.to) f = number(p, floor);
        }
        if (f.to) {
            replace(l, f);
            floor = p = f.to;
        } else {
            p = behind_mark(p);
        }
    }
    return p;
}

/* The name of a member, from behind its first quote to its second. */
static byte *name(look *l, byte *p) {
    while (p < l->end && *p != '"') {
        if (*p == '\\' && (l->disguised = hides(p, l->end))) return p;
        p = *p == '\\' ? behind_escape(p, l->end) : p + 1;
    }
    return p;
}

/* Goes over the members of the payload. A name that is there twice is looked at twice:
 * nobody knows which of the values a receiver takes. The node has validated the JSON;
 * what is none all the same ends the look, and no byte outside of it is read. */
static void members(look *l, heddle_str json) {
    byte *p = (byte *)json.at;
    if (p == l->end || l->end[-1] != '}') return; /* the bracket ends all loops: see text.h */
    if (*(p = behind_space(p)) != '{') return;
    do {
        if (*(p = behind_space(p + 1)) != '"') return;
        byte *from = p + 1;
        if ((p = name(l, from)) >= l->end || l->disguised) return;
        bool text = p - from == 4 && heddle_equal((heddle_str){(char *)from, 4}, S("text"));
        if (*(p = behind_space(p + 1)) != ':') return;
        p = behind_space(p + 1);
        if (text && *p == '"') {
            if ((p = scan(l, p + 1)) >= l->end || l->disguised) return;
            p++;
        } else {
            uint32_t i = (uint32_t)((char *)p - json.at);
            if (!heddle_json_skip(json, &i)) return;
            if ((p = (byte *)json.at + i) >= l->end) return;
        }
        p = behind_space(p);
    } while (*p == ',');
}

/* Looks at a payload, and makes json what it is now. Findings are counted in *found;
 * false if escapes hid something from the look. */
static bool looked(heddle_str *json, uint32_t *found) {
    look l = {.end = (byte *)json->at + json->len};
    while (l.end > (byte *)json->at && l.end[-1] <= ' ') l.end--; /* plugins in front may have left space behind it */
    members(&l, *json);
    if (l.found) {
        keep(&l, l.end);
        json->len = (uint32_t)((char *)l.out - json->at);
        *found += l.found;
    }
    return !l.disguised;
}

void heddle_event(heddle_event_t *e) {
    if (!heddle_on_hook(e, HEDDLE_BEFORE)) return;
    heddle_str json = heddle_payload(e);
    uint32_t found = 0;
    if (!looked(&json, &found)) {
        write_out(&json);
        looked(&json, &found);
    }
    if (found == 0) return;
    /* Saying nothing would let the event pass as it is: what cannot be said fails. */
    if (heddle_replace(e, json) != HEDDLE_OK) heddle_fail(S("the redacted message does not fit"));
    heddle_count(S("redacted"), found);
}
