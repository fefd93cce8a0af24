/* heddle.h: the SDK for Heddle's plugins in C, all of it: no library, no libc, no
 * allocation. A plugin is one source file that includes it and defines heddle_event.
 *
 * What an event is good for ends with heddle_event: the views that its functions
 * return lie in the arena that the next batch is written to. What is to be done about
 * an event takes place when the whole batch has ended well. */
#ifndef HEDDLE_H
#define HEDDLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Capacities of the arenas in bytes, 4 KiB to 16 MiB: the largest batch that fits in,
 * and the actions of one batch. */
#ifndef HEDDLE_INPUT
#define HEDDLE_INPUT (1 << 20)
#endif
#ifndef HEDDLE_OUTPUT
#define HEDDLE_OUTPUT (256 << 10)
#endif
_Static_assert(HEDDLE_INPUT >= 4 << 10 && HEDDLE_INPUT <= 16 << 20 && HEDDLE_OUTPUT >= 4 << 10 && HEDDLE_OUTPUT <= 16 << 20, "arenas");

#define HEDDLE_FN static inline __attribute__((unused))
#define HEDDLE_COLD static __attribute__((unused, noinline))
#define HEDDLE_DO HEDDLE_FN heddle_status
#ifdef __wasm__ /* a test on the developer's machine brings its own host */
#define HEDDLE_EXPORT(name) __attribute__((export_name(name), visibility("default")))
#define HEDDLE_IMPORT(name) __attribute__((import_module("heddle"), import_name(name)))
#else
#define HEDDLE_EXPORT(name)
#define HEDDLE_IMPORT(name)
#endif

/* What functions return that can fail. Denied: the manifest does not ask for it, or the
 * tenant may not. Quota: as much as there may be is there. Invalid: an argument.
 * Conflict: the value is another by now. Unavailable: later perhaps. Failed: the
 * plugin's own word, for what does not fit into a buffer or the output, and heddle_fail. */
typedef int32_t heddle_status;
enum { HEDDLE_OK = 0, HEDDLE_NOT_FOUND = -1, HEDDLE_DENIED = -2, HEDDLE_QUOTA = -3, HEDDLE_INVALID = -4, HEDDLE_CONFLICT = -5,
       HEDDLE_UNAVAILABLE = -6, HEDDLE_FAILED = -7 };

/* When a plugin is called. */
typedef uint8_t heddle_hook_t;
enum {
    HEDDLE_BEFORE = 1, /* an event, in front of its handler */
    HEDDLE_AFTER,      /* an event that was handled; nothing is to be done about it any more */
    HEDDLE_HANDLE,     /* an event whose action is the plugin's own */
    HEDDLE_CONNECT,    /* a session is about to be open */
    HEDDLE_DISCONNECT, /* a session is over */
    HEDDLE_JOIN,       /* a session is about to join a room */
    HEDDLE_LEAVE,      /* a session has left a room */
    HEDDLE_TIMER,      /* a timer that the plugin has set; id: its name */
    HEDDLE_RESPONSE,   /* the answer to an HTTP request of the plugin */
    HEDDLE_REQUEST,    /* an HTTP request to the plugin */
};

/* How a payload is written: not at all, or the manifest does not ask for it; a JSON
 * value in UTF-8; bytes as they came, of HTTP. */
typedef uint8_t heddle_codec_t;
enum { HEDDLE_CODEC_NONE, HEDDLE_CODEC_JSON, HEDDLE_CODEC_BYTES };

typedef uint8_t heddle_attr_type;
enum { HEDDLE_ATTR_NONE, HEDDLE_ATTR_BOOL, HEDDLE_ATTR_INT, HEDDLE_ATTR_FLOAT, HEDDLE_ATTR_TEXT, HEDDLE_ATTR_JSON };

/* ---- Views: bytes that lie somewhere else. No function reads outside of one. ---- */

typedef struct { const char *at; uint32_t len; } heddle_str;

#define S(literal) ((heddle_str){"" literal, sizeof(literal) - 1})
#define HEDDLE_NONE ((heddle_str){NULL, 0}) /* of heddle_kv_swap: no value */

HEDDLE_FN uint32_t heddle_u32(const void *p) { uint32_t v; __builtin_memcpy(&v, p, 4); return v; }
HEDDLE_FN uint64_t heddle_u64(const void *p) { uint64_t v; __builtin_memcpy(&v, p, 8); return v; }

/* Copies n bytes between places that do not overlap; short ones, which are most,
 * without the bulk instruction, whose call costs more than they do. */
HEDDLE_COLD void heddle_copy(char *to, const char *from, uint32_t n) {
    uint32_t i = n > 64 ? n : 0;
    if (i) __builtin_memcpy(to, from, n);
#pragma clang loop unroll(disable)
    for (; n - i >= 8; i += 8) __builtin_memcpy(to + i, from + i, 8);
#pragma clang loop unroll(disable) vectorize(disable)
    for (; i < n; i++) to[i] = from[i];
}

/* The part of s from an index on, as much of it as there is. */
HEDDLE_FN heddle_str heddle_sub(heddle_str s, uint32_t from, uint32_t len) {
    if (from > s.len) from = s.len;
    if (len > s.len - from) len = s.len - from;
    return (heddle_str){s.at + from, len};
}

/* The byte at an index, -1 outside of s. */
HEDDLE_FN int heddle_at(heddle_str s, uint32_t i) { return i < s.len ? (unsigned char)s.at[i] : -1; }

HEDDLE_FN bool heddle_equal(heddle_str a, heddle_str b) {
    if (a.len != b.len) return false;
    uint32_t i = 0;
    for (; i + 8 <= a.len; i += 8)
        if (heddle_u64(a.at + i) != heddle_u64(b.at + i)) return false;
    for (; i < a.len; i++)
        if (a.at[i] != b.at[i]) return false;
    return true;
}

/* Below 0, 0 or above 0, in the order of the bytes. */
HEDDLE_FN int heddle_compare(heddle_str a, heddle_str b) {
    for (uint32_t i = 0; i < a.len && i < b.len; i++)
        if (a.at[i] != b.at[i]) return (unsigned char)a.at[i] - (unsigned char)b.at[i];
    return a.len < b.len ? -1 : a.len > b.len;
}

HEDDLE_FN bool heddle_starts(heddle_str s, heddle_str with) { return heddle_equal(heddle_sub(s, 0, with.len), with); }
HEDDLE_FN bool heddle_ends(heddle_str s, heddle_str with) { return heddle_equal(heddle_sub(s, s.len - with.len, with.len), with); }

/* Where part begins in s for the first time, -1 if it does not. */
HEDDLE_FN int32_t heddle_find(heddle_str s, heddle_str part) {
    if (part.len == 0) return 0;
    for (uint32_t i = 0; s.len - i >= part.len && i < s.len; i++)
        if (s.at[i] == part.at[0] && heddle_equal(heddle_sub(s, i, part.len), part)) return (int32_t)i;
    return -1;
}

/* ---- Buffers: views that are written to. Each put is written wholly or not at all,
 * and after one that did not fit nothing is: full says so once, at the end. ---- */

typedef struct {
    char *at;
    uint32_t len, cap;
    bool full;
} heddle_buf;

#define HEDDLE_BUF(array) ((heddle_buf){(array), 0, sizeof(array), false})

/* What was written; it lies in the buffer. */
HEDDLE_FN heddle_str heddle_text(const heddle_buf *b) { return (heddle_str){b->at, b->len}; }

/* The place of the next n bytes, NULL if these do not fit. */
HEDDLE_FN char *heddle_extend(heddle_buf *b, uint32_t n) {
    if ((b->full |= n > b->cap - b->len)) return NULL;
    return b->at + (b->len += n) - n;
}
HEDDLE_FN void heddle_put(heddle_buf *b, heddle_str s) {
    char *at = heddle_extend(b, s.len);
    if (at) heddle_copy(at, s.at, s.len);
}
HEDDLE_FN void heddle_put_byte(heddle_buf *b, char c) {
    char *at = heddle_extend(b, 1);
    if (at) *at = c;
}
HEDDLE_COLD void heddle_put_uint(heddle_buf *b, uint64_t n) {
    char digits[20];
    uint32_t i = sizeof digits;
    do digits[--i] = (char)('0' + n % 10);
    while (n /= 10);
    heddle_put(b, (heddle_str){digits + i, sizeof digits - i});
}
HEDDLE_FN void heddle_put_int(heddle_buf *b, int64_t n) {
    if (n < 0) heddle_put_byte(b, '-');
    heddle_put_uint(b, n < 0 ? 0 - (uint64_t)n : (uint64_t)n);
}
/* The lowest digits of n in hexadecimal, up to 16. */
HEDDLE_COLD void heddle_put_hex(heddle_buf *b, uint64_t n, uint32_t digits) {
    char *at = heddle_extend(b, digits);
    for (; at && digits-- > 0; n >>= 4) at[digits] = "0123456789abcdef"[n & 15];
}

/* ---- JSON, which the node has validated; of a payload's prefix, what is there. ---- */

/* Marks the bytes of eight that are c; the lowest mark is right, others may be too many. */
HEDDLE_FN uint64_t heddle_marks(uint64_t eight, char c) {
    uint64_t x = eight ^ 0x0101010101010101u * (unsigned char)c;
    return (x - 0x0101010101010101u) & ~x & 0x8080808080808080u;
}

/* Where the string ends whose inside begins at i: its second quote, or s.len. */
HEDDLE_FN uint32_t heddle_json_end(heddle_str s, uint32_t i) {
    while (i < s.len) {
        if (s.len - i >= 8) {
            uint64_t eight = heddle_u64(s.at + i), marks = heddle_marks(eight, '"') | heddle_marks(eight, '\\');
            i += marks ? (uint32_t)__builtin_ctzll(marks) / 8 : 8;
            if (!marks) continue;
        }
        if (s.at[i] == '"') return i;
        i += s.at[i] == '\\' ? 2 : 1;
    }
    return s.len;
}

HEDDLE_FN uint32_t heddle_json_space(heddle_str s, uint32_t i) {
    while (i < s.len && (s.at[i] == ' ' || s.at[i] == '\n' || s.at[i] == '\r' || s.at[i] == '\t')) i++;
    return i;
}

/* Moves i behind the value that it stands at; false if that is cut off. */
HEDDLE_COLD bool heddle_json_skip(heddle_str s, uint32_t *i) {
    for (uint32_t depth = 0; *i < s.len; ++*i) {
        char c = s.at[*i];
        if (c == '"') {
            if ((*i = heddle_json_end(s, *i + 1)) >= s.len) return false;
            if (depth == 0) return ++*i, true;
        } else if (c == '{' || c == '[') {
            depth++;
        } else if (depth == 0) { /* a number or a word, or what the value stands in */
            if (c == ',' || c == '}' || c == ']' || (unsigned char)c <= ' ') return true;
        } else if ((c == '}' || c == ']') && --depth == 0) {
            return ++*i, true;
        }
    }
    return false;
}

HEDDLE_FN int32_t heddle_json_hex4(heddle_str s, uint32_t i) {
    int32_t n = 0;
    for (uint32_t end = i + 4; i < end; i++) {
        int c = heddle_at(s, i), digit = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
        if (digit < 0) return -1;
        n = n << 4 | digit;
    }
    return n;
}

/* Writes what the inside of a string means, in UTF-8; half a surrogate pair becomes U+FFFD. */
HEDDLE_COLD void heddle_put_unescaped(heddle_buf *b, heddle_str inside) {
    for (uint32_t i = 0, from = 0; i < inside.len; from = i) {
        while (i < inside.len && inside.at[i] != '\\') i++;
        heddle_put(b, heddle_sub(inside, from, i - from));
        if (i == inside.len) return;
        int c = heddle_at(inside, i + 1);
        i = inside.len - i < 2 ? inside.len : i + 2;
        if (c != 'u') {
            if (c >= 0) heddle_put_byte(b, c == 'n' ? '\n' : c == 't' ? '\t' : c == 'r' ? '\r' : c == 'b' ? '\b' : c == 'f' ? '\f' : (char)c);
            continue;
        }
        int32_t u = heddle_json_hex4(inside, i);
        i = inside.len - i < 4 ? inside.len : i + 4;
        if (u >= 0xd800 && u < 0xdc00 && heddle_at(inside, i) == '\\' && heddle_at(inside, i + 1) == 'u') {
            int32_t low = heddle_json_hex4(inside, i + 2);
            if (low >= 0xdc00 && low < 0xe000) u = 0x10000 + ((u & 0x3ff) << 10 | (low & 0x3ff)), i += 6;
        }
        if (u < 0 || (u >= 0xd800 && u < 0xe000)) u = 0xfffd;
        char utf8[4];
        uint32_t n = u < 0x80 ? 1 : u < 0x800 ? 2 : u < 0x10000 ? 3 : 4;
        for (uint32_t k = n; k-- > 1; u >>= 6) utf8[k] = (char)(0x80 | (u & 0x3f));
        utf8[0] = (char)(n == 1 ? u : u | 0xf00 >> n);
        heddle_put(b, (heddle_str){utf8, n});
    }
}

/* Whether the inside of a string means text. */
HEDDLE_FN bool heddle_json_means(heddle_str inside, heddle_str text) {
    if (inside.len <= text.len || heddle_find(inside, S("\\")) < 0) /* escapes are longer than what they mean */
        return heddle_equal(inside, text) && heddle_find(text, S("\\")) < 0;
    char plain[256];
    heddle_buf b = HEDDLE_BUF(plain);
    heddle_put_unescaped(&b, inside);
    return !b.full && heddle_equal(heddle_text(&b), text);
}

/* Finds the member of an object, and what its value is as it stands: a string with its
 * quotes. Of several with the same key it is the last one, as everywhere else. */
HEDDLE_COLD bool heddle_json_get(heddle_str object, heddle_str key, heddle_str *value) {
    bool found = false;
    uint32_t i = heddle_json_space(object, 0);
    if (heddle_at(object, i) != '{') return false;
    do {
        i = heddle_json_space(object, i + 1);
        if (heddle_at(object, i) != '"') break;
        uint32_t from = i + 1, end = heddle_json_end(object, from);
        heddle_str name = heddle_sub(object, from, end - from);
        i = heddle_json_space(object, end + 1);
        if (heddle_at(object, i) != ':') break;
        from = i = heddle_json_space(object, i + 1);
        if (!heddle_json_skip(object, &i) || i == from) break;
        if (heddle_json_means(name, key)) *value = heddle_sub(object, from, i - from), found = true;
        i = heddle_json_space(object, i);
    } while (heddle_at(object, i) == ',');
    return found;
}

/* The inside of a member that is a string: see heddle_put_unescaped. */
HEDDLE_FN bool heddle_json_string(heddle_str object, heddle_str key, heddle_str *inside) {
    heddle_str value;
    if (!heddle_json_get(object, key, &value) || value.at[0] != '"') return false;
    *inside = heddle_sub(value, 1, value.len - 2);
    return true;
}

/* The inside of the next string at or behind *at, wherever it stands; key tells the
 * names of members from values. Moves *at behind it. */
HEDDLE_FN bool heddle_json_next(heddle_str json, uint32_t *at, heddle_str *inside, bool *key) {
    uint32_t i = *at;
    while (i < json.len && json.at[i] != '"') i++;
    if (i >= json.len) return false;
    uint32_t end = heddle_json_end(json, i + 1);
    if (end >= json.len) return false;
    *inside = heddle_sub(json, i + 1, end - i - 1);
    *at = end + 1;
    *key = heddle_at(json, heddle_json_space(json, end + 1)) == ':';
    return true;
}

/* Writes text as a JSON string, with its quotes. */
HEDDLE_COLD void heddle_put_json(heddle_buf *b, heddle_str text) {
    heddle_put_byte(b, '"');
    for (uint32_t i = 0, from = 0; i < text.len; from = ++i) {
        while (i < text.len && (unsigned char)text.at[i] >= ' ' && text.at[i] != '"' && text.at[i] != '\\') i++;
        heddle_put(b, heddle_sub(text, from, i - from));
        if (i == text.len) break;
        char c = text.at[i], letter = c == '\n' ? 'n' : c == '\t' ? 't' : c == '\r' ? 'r' : c == '\b' ? 'b' : c == '\f' ? 'f' : c;
        heddle_put_byte(b, '\\'), heddle_put_byte(b, letter < ' ' ? 'u' : letter);
        if (letter < ' ') heddle_put_hex(b, (unsigned char)c, 4);
    }
    heddle_put_byte(b, '"');
}

/* ---- The host's functions ---- */

HEDDLE_IMPORT("config") int32_t heddle_host_config(void *, uint32_t);
HEDDLE_IMPORT("kv_add") int32_t heddle_host_kv_add(const void *, uint32_t, int64_t, int64_t, void *);
HEDDLE_IMPORT("kv_delete") int32_t heddle_host_kv_delete(const void *, uint32_t);
HEDDLE_IMPORT("kv_get") int32_t heddle_host_kv_get(const void *, uint32_t, void *, uint32_t);
HEDDLE_IMPORT("kv_put") int32_t heddle_host_kv_put(const void *, uint32_t, const void *, uint32_t, int64_t);
HEDDLE_IMPORT("kv_swap") int32_t heddle_host_kv_swap(const void *, uint32_t, const void *, int32_t, const void *, int32_t, int64_t);
HEDDLE_IMPORT("log") void heddle_host_log(int32_t, const void *, uint32_t);
HEDDLE_IMPORT("lookup") int32_t heddle_host_lookup(int32_t, const void *, uint32_t, void *, uint32_t);
HEDDLE_IMPORT("metric") int32_t heddle_host_metric(int32_t, const void *, uint32_t, double);
HEDDLE_IMPORT("now") int64_t heddle_host_now(void);
HEDDLE_IMPORT("payload") int32_t heddle_host_payload(uint32_t, uint32_t, void *, uint32_t);
HEDDLE_IMPORT("random") int32_t heddle_host_random(void *, uint32_t);
HEDDLE_IMPORT("secret") int32_t heddle_host_secret(const void *, uint32_t, void *, uint32_t);

/* The tenant's developer reads these. */
HEDDLE_FN void heddle_debug(heddle_str text) { heddle_host_log(0, text.at, text.len); }
HEDDLE_FN void heddle_info(heddle_str text) { heddle_host_log(1, text.at, text.len); }
HEDDLE_FN void heddle_warn(heddle_str text) { heddle_host_log(2, text.at, text.len); }
HEDDLE_FN void heddle_error(heddle_str text) { heddle_host_log(3, text.at, text.len); }

/* Adds to a counter, sets a gauge, observes seconds. */
HEDDLE_DO heddle_count(heddle_str name, double n) { return heddle_host_metric(0, name.at, name.len, n); }
HEDDLE_DO heddle_gauge(heddle_str name, double value) { return heddle_host_metric(1, name.at, name.len, value); }
HEDDLE_DO heddle_observe(heddle_str name, double seconds) { return heddle_host_metric(2, name.at, name.len, seconds); }

HEDDLE_FN int64_t heddle_now(void) { return heddle_host_now(); } /* Unix milliseconds */
HEDDLE_DO heddle_random(void *buffer, uint32_t len) { return heddle_host_random(buffer, len); } /* bytes that nobody can guess */

/* What the host has appended to b; Failed if it has more bytes than b has left. */
HEDDLE_DO heddle_given(heddle_buf *b, int32_t n) { return n < 0 ? n : heddle_extend(b, (uint32_t)n) ? HEDDLE_OK : HEDDLE_FAILED; }
#define HEDDLE_REST(b) (b)->at + (b)->len, (b)->cap - (b)->len
/* These append to a buffer. The config is the JSON that heddle_start was given. */
HEDDLE_DO heddle_config(heddle_buf *b) { return heddle_given(b, heddle_host_config(HEDDLE_REST(b))); }
HEDDLE_DO heddle_secret(heddle_str name, heddle_buf *b) { return heddle_given(b, heddle_host_secret(name.at, name.len, HEDDLE_REST(b))); }

/* The store, as this call sees it. A time to live of 0 milliseconds is for ever. */
HEDDLE_DO heddle_kv_get(heddle_str key, heddle_buf *b) { return heddle_given(b, heddle_host_kv_get(key.at, key.len, HEDDLE_REST(b))); }
HEDDLE_DO heddle_kv_put(heddle_str key, heddle_str value, int64_t ttl_ms) { return heddle_host_kv_put(key.at, key.len, value.at, value.len, ttl_ms); }
HEDDLE_DO heddle_kv_delete(heddle_str key) { return heddle_host_kv_delete(key.at, key.len); }
/* Adds to a number, 0 if there is none; sum may be NULL. */
HEDDLE_DO heddle_kv_add(heddle_str key, int64_t delta, int64_t ttl_ms, int64_t *sum) {
    return heddle_host_kv_add(key.at, key.len, delta, ttl_ms, sum ? sum : &(int64_t){0});
}
/* Conflict if the value is not old. HEDDLE_NONE stands for no value. */
HEDDLE_DO heddle_kv_swap(heddle_str key, heddle_str old, heddle_str value, int64_t ttl_ms) {
    int32_t before = old.at ? (int32_t)old.len : -1, after = value.at ? (int32_t)value.len : -1;
    return heddle_host_kv_swap(key.at, key.len, old.at, before, value.at, after, ttl_ms);
}

/* Look-ups append JSON to a buffer; the name is a room's or a user's, or a room's with a space and a user's behind it.
 * room: {"name":…,"meta":…,"creator":…,"created_at":…} of one that keeps members, without meta if there is none; or NotFound
 * member: {"role":…,"joined_at":…} or NotFound; times are Unix milliseconds
 * members: {"members":[{"user":…,"role":…},…],"next":…}, those behind a user, S("") for the first ones; the last ones have no next
 * presence: {"status":…,"devices":[…]}: online, away, dnd or offline, and the names of the devices that are there */
HEDDLE_COLD heddle_status heddle_lookup(int32_t kind, heddle_str name, heddle_str user, heddle_buf *b) {
    char both[512];
    heddle_buf n = HEDDLE_BUF(both);
    heddle_put(&n, name);
    if (user.len) heddle_put_byte(&n, ' '), heddle_put(&n, user);
    return n.full ? HEDDLE_INVALID : heddle_given(b, heddle_host_lookup(kind, both, n.len, HEDDLE_REST(b)));
}
HEDDLE_DO heddle_lookup_room(heddle_str room, heddle_buf *b) { return heddle_lookup(1, room, S(""), b); }
HEDDLE_DO heddle_lookup_members(heddle_str room, heddle_str after, heddle_buf *b) { return heddle_lookup(2, room, after, b); }
HEDDLE_DO heddle_lookup_member(heddle_str room, heddle_str user, heddle_buf *b) { return heddle_lookup(3, room, user, b); }
HEDDLE_DO heddle_lookup_presence(heddle_str user, heddle_buf *b) { return heddle_lookup(4, user, S(""), b); }

/* ---- Events ---- */

typedef struct {
    const char *record; /* in the input arena */
    uint32_t size;      /* of it */
    uint32_t index;     /* in the batch */
    heddle_str on;      /* its action, if the hook is before or handle */
} heddle_event_t;

HEDDLE_FN heddle_hook_t heddle_hook(const heddle_event_t *e) { return (uint8_t)e->record[6]; }
HEDDLE_FN heddle_codec_t heddle_codec(const heddle_event_t *e) { return (uint8_t)e->record[7]; }
/* It has, or will have, a position. The payload is only the beginning. The tenant's backend sends it, no user. */
HEDDLE_FN bool heddle_durable(const heddle_event_t *e) { return heddle_u32(e->record + 8) & 1; }
HEDDLE_FN bool heddle_prefix(const heddle_event_t *e) { return heddle_u32(e->record + 8) & 2; }
HEDDLE_FN bool heddle_server(const heddle_event_t *e) { return heddle_u32(e->record + 8) & 4; }
HEDDLE_FN uint32_t heddle_attempt(const heddle_event_t *e) { return heddle_u32(e->record + 12); }      /* 1 if it is run again after its call has failed */
HEDDLE_FN uint64_t heddle_sequence(const heddle_event_t *e) { return heddle_u64(e->record + 16); }     /* counts the events of this version on this node */
HEDDLE_FN int64_t heddle_time(const heddle_event_t *e) { return (int64_t)heddle_u64(e->record + 24); } /* Unix milliseconds */
HEDDLE_FN uint64_t heddle_connection(const heddle_event_t *e) { return heddle_u64(e->record + 32); }  /* on this node; 0 for none */
HEDDLE_FN uint32_t heddle_payload_size(const heddle_event_t *e) { return heddle_u32(e->record + 40); } /* of the whole, in bytes */

HEDDLE_FN heddle_str heddle_reference(const heddle_event_t *e, uint32_t at) {
    return heddle_sub((heddle_str){e->record, e->size}, heddle_u32(e->record + at), heddle_u32(e->record + at + 4));
}
HEDDLE_FN heddle_str heddle_tenant(const heddle_event_t *e) { return heddle_reference(e, 48); }
HEDDLE_FN heddle_str heddle_user(const heddle_event_t *e) { return heddle_reference(e, 56); }
HEDDLE_FN heddle_str heddle_device(const heddle_event_t *e) { return heddle_reference(e, 64); }
HEDDLE_FN heddle_str heddle_room(const heddle_event_t *e) { return heddle_reference(e, 72); }
HEDDLE_FN heddle_str heddle_action(const heddle_event_t *e) { return heddle_reference(e, 80); }
HEDDLE_FN heddle_str heddle_id(const heddle_event_t *e) { return heddle_reference(e, 88); }
HEDDLE_FN heddle_str heddle_payload(const heddle_event_t *e) { return heddle_reference(e, 104); } /* what of it is in the record */
/* Copies bytes of the whole payload from an offset on, also if the record has none of
 * it: how many, fewer than len at its end, or a status. */
HEDDLE_FN int32_t heddle_payload_from(const heddle_event_t *e, uint32_t offset, void *buffer, uint32_t len) {
    return heddle_host_payload(e->index, offset, buffer, len);
}

/* Whether it is an event of an action, in front of its handler or for this plugin to handle. */
HEDDLE_FN bool heddle_on(const heddle_event_t *e, heddle_str action) { return heddle_equal(e->on, action); }
HEDDLE_FN bool heddle_on_hook(const heddle_event_t *e, heddle_hook_t hook) { return heddle_hook(e) == hook; }

/* An attribute. What its type does not have is 0 or empty; one that is not there has type none. */
typedef struct {
    heddle_attr_type type;
    bool boolean;
    int64_t integer;
    double number; /* of int, too */
    heddle_str name, text, json;
} heddle_attr_t;

/* Reads the attribute at *at, 0 for the first one, and moves *at behind it; false behind the last one. */
HEDDLE_FN bool heddle_attr_next(const heddle_event_t *e, uint32_t *at, heddle_attr_t *a) {
    heddle_str own = heddle_sub(heddle_reference(e, 96), *at, UINT32_MAX);
    if (own.len < 16 || heddle_u32(own.at) < 16) return false;
    own = heddle_sub(own, 0, heddle_u32(own.at));
    uint32_t name = heddle_u32(own.at + 4) >> 16;
    int64_t value = (int64_t)heddle_u64(own.at + 8);
    *a = (heddle_attr_t){.type = (heddle_attr_type)own.at[4], .name = heddle_sub(own, 16, name)};
    switch (a->type) {
    case HEDDLE_ATTR_BOOL: a->boolean = value != 0; break;
    case HEDDLE_ATTR_INT: a->number = (double)(a->integer = value); break;
    case HEDDLE_ATTR_FLOAT: __builtin_memcpy(&a->number, &value, 8); break;
    case HEDDLE_ATTR_TEXT: a->text = heddle_sub(own, 16 + name, (uint32_t)value); break;
    case HEDDLE_ATTR_JSON: a->json = heddle_sub(own, 16 + name, (uint32_t)value); break;
    }
    *at += own.len;
    return true;
}

HEDDLE_FN heddle_attr_t heddle_attr(const heddle_event_t *e, heddle_str name) {
    heddle_attr_t a;
    for (uint32_t at = 0; heddle_attr_next(e, &at, &a);)
        if (heddle_equal(a.name, name)) return a;
    return (heddle_attr_t){.name = name};
}

HEDDLE_FN bool heddle_attr_has(const heddle_event_t *e, heddle_str name) { return heddle_attr(e, name).type != HEDDLE_ATTR_NONE; }
HEDDLE_FN bool heddle_attr_bool(const heddle_event_t *e, heddle_str name) { return heddle_attr(e, name).boolean; }
HEDDLE_FN int64_t heddle_attr_int(const heddle_event_t *e, heddle_str name) { return heddle_attr(e, name).integer; }
HEDDLE_FN double heddle_attr_float(const heddle_event_t *e, heddle_str name) { return heddle_attr(e, name).number; }
HEDDLE_FN heddle_str heddle_attr_text(const heddle_event_t *e, heddle_str name) { return heddle_attr(e, name).text; }
HEDDLE_FN heddle_str heddle_attr_json(const heddle_event_t *e, heddle_str name) { return heddle_attr(e, name).json; }

/* ---- What to do. Failed if the output is full: then nothing was written, and the batch
 * has failed. The node runs its events again in smaller ones; alone, an event has all of
 * HEDDLE_OUTPUT. ---- */

typedef struct {
    uint16_t kind;
    uint32_t flags, code;
    int64_t number;
    heddle_str method, a, b, c, d; /* a method stands in front of a, with a space between */
} heddle_action_t;

static struct { /* without values, or a module would have them in it, zeros and all */
    _Alignas(8) char in[8 + HEDDLE_INPUT];
    _Alignas(8) char out[8 + HEDDLE_OUTPUT];
    uint32_t used;     /* of out, behind its header */
    bool alone;        /* the batch has one event, and nobody else's actions are here */
    bool full, failed; /* in this batch, and the log says so */
} heddle_state;

HEDDLE_COLD heddle_status heddle_act(const heddle_event_t *e, const heddle_action_t *a) {
    const heddle_str refs[] = {a->a, a->b, a->c, a->d};
    uint64_t front = a->method.len ? (uint64_t)a->method.len + 1 : 0;
    uint64_t size = (56 + front + refs[0].len + refs[1].len + refs[2].len + refs[3].len + 7) & ~(uint64_t)7;
    if (size > HEDDLE_OUTPUT - heddle_state.used) {
        /* Events that are not alone are run again in smaller batches, and may come to their end there. */
        const heddle_str text = S("the output is full: an action does not fit; HEDDLE_OUTPUT makes it larger");
        if (!heddle_state.full) heddle_host_log(heddle_state.alone ? 3 : 2, text.at, text.len);
        heddle_state.full = heddle_state.failed = true;
        return HEDDLE_FAILED;
    }
    char *to = heddle_state.out + 8 + heddle_state.used;
    uint32_t head[14] = {(uint32_t)size, a->kind | e->index << 16, a->flags, a->code, (uint32_t)a->number, (uint32_t)(a->number >> 32)};
    uint32_t at = sizeof head;
    __builtin_memset(to + size - 8, 0, 8); /* what is behind the last reference */
    for (uint32_t i = 0; i < 4; i++) {
        head[6 + 2 * i] = at;
        if (i == 0 && front) {
            heddle_copy(to + at, a->method.at, a->method.len);
            to[at + a->method.len] = ' ';
            at += (uint32_t)front;
        }
        heddle_copy(to + at, refs[i].at, refs[i].len);
        at += refs[i].len;
        head[7 + 2 * i] = at - head[6 + 2 * i];
    }
    __builtin_memcpy(to, head, sizeof head);
    heddle_state.used += (uint32_t)size;
    return HEDDLE_OK;
}

#define HEDDLE_ACT(...) heddle_act(e, &(const heddle_action_t){__VA_ARGS__})
HEDDLE_DO heddle_pass(heddle_event_t *e) { return HEDDLE_ACT(.kind = 1); } /* the same as saying nothing */
/* Refuse the event; the sender reads text, which may begin with a field for invalid: "data.text: too long". */
HEDDLE_DO heddle_forbid(heddle_event_t *e, heddle_str text) { return HEDDLE_ACT(.kind = 2, .a = text); }
HEDDLE_DO heddle_invalid(heddle_event_t *e, heddle_str text) { return HEDDLE_ACT(.kind = 2, .code = 1, .a = text); }
HEDDLE_DO heddle_rate_limit(heddle_event_t *e, heddle_str text, int64_t retry_after_ms) {
    return HEDDLE_ACT(.kind = 2, .code = 2, .a = text, .number = retry_after_ms);
}
HEDDLE_DO heddle_drop_silently(heddle_event_t *e) { return HEDDLE_ACT(.kind = 2, .code = 3); } /* the sender is told nothing, or that all went well */
HEDDLE_DO heddle_replace(heddle_event_t *e, heddle_str json) { return HEDDLE_ACT(.kind = 3, .a = json); } /* another payload, a JSON object */
/* Gives the event an attribute that plugins behind this one, and receivers, see. */
HEDDLE_DO heddle_set_attr(heddle_event_t *e, heddle_str name, heddle_str json) { return HEDDLE_ACT(.kind = 4, .a = name, .b = json); }

typedef struct {
    bool durable;      /* it gets a position and is stored */
    heddle_str device; /* in a room of a user: to this device alone */
} heddle_emit_options;
HEDDLE_DO heddle_emit_with(heddle_event_t *e, heddle_str room, heddle_str action, heddle_str payload, heddle_emit_options o) {
    return HEDDLE_ACT(.kind = 5, .flags = o.durable, .a = room, .b = action, .c = payload, .d = o.device);
}
/* Sends an ephemeral event. */
HEDDLE_DO heddle_emit(heddle_event_t *e, heddle_str room, heddle_str action, heddle_str payload) {
    return heddle_emit_with(e, room, action, payload, (heddle_emit_options){0});
}
HEDDLE_DO heddle_route(heddle_event_t *e, heddle_str room) { return HEDDLE_ACT(.kind = 6, .a = room); } /* to another room than it names */
HEDDLE_DO heddle_reply(heddle_event_t *e, heddle_str json) { return HEDDLE_ACT(.kind = 7, .a = json); } /* what the sender's ack carries */
/* The answer to an HTTP request. */
HEDDLE_DO heddle_respond(heddle_event_t *e, uint32_t status, heddle_str content_type, heddle_str body) {
    return HEDDLE_ACT(.kind = 7, .code = status, .a = body, .b = content_type);
}
/* Sends a request, whose answer comes to HEDDLE_RESPONSE with its tag; headers: lines "name: value". */
HEDDLE_DO heddle_http(heddle_event_t *e, heddle_str method, heddle_str url, heddle_str headers, heddle_str body, heddle_str tag,
                      int64_t timeout_ms) {
    return HEDDLE_ACT(.kind = 8, .method = method, .a = url, .b = headers, .c = body, .d = tag, .number = timeout_ms);
}
/* Has HEDDLE_TIMER called; one timer for each name. */
HEDDLE_DO heddle_set_timer(heddle_event_t *e, heddle_str name, int64_t in_ms, heddle_str payload) {
    return HEDDLE_ACT(.kind = 9, .a = name, .c = payload, .number = in_ms);
}
HEDDLE_DO heddle_cancel_timer(heddle_event_t *e, heddle_str name) { return HEDDLE_ACT(.kind = 10, .a = name); }

/* Logs text as an error and has the whole batch fail; or, in heddle_start, the deploy. */
HEDDLE_DO heddle_fail(heddle_str text) {
    heddle_error(text);
    heddle_state.failed = true;
    return HEDDLE_FAILED;
}

/* ---- What the plugin defines ---- */

/* Called for each event. One that it says nothing about passes. */
static void heddle_event(heddle_event_t *e);
/* Called once, if it is there, before the first event, with the config. What it leaves
 * in variables every instance begins with. Anything but OK fails the deploy. */
__attribute__((weak)) heddle_status heddle_start(heddle_str config);

/* ---- The contract's side ---- */

HEDDLE_EXPORT("heddle_abi") int32_t heddle_abi(void) { return 1; }

HEDDLE_EXPORT("heddle_buffers") int64_t heddle_buffers(void) {
    const uint32_t in = HEDDLE_INPUT, out = HEDDLE_OUTPUT;
    __builtin_memcpy(heddle_state.in, &in, 4);
    __builtin_memcpy(heddle_state.out, &out, 4);
    return (int64_t)((uint64_t)(uintptr_t)heddle_state.in | (uint64_t)(uintptr_t)heddle_state.out << 32);
}

HEDDLE_EXPORT("heddle_init") heddle_status heddle_init(uint32_t len) {
    if (len > HEDDLE_INPUT) return HEDDLE_INVALID;
    heddle_status status = heddle_start ? heddle_start((heddle_str){heddle_state.in + 8, len}) : HEDDLE_OK;
    return heddle_state.failed ? HEDDLE_FAILED : status;
}

HEDDLE_EXPORT("heddle_batch") int32_t heddle_batch(uint32_t count, uint32_t len) {
    heddle_state.used = 0;
    heddle_state.alone = count == 1;
    heddle_state.full = heddle_state.failed = false;
    heddle_str rest = {heddle_state.in + 8, len};
    for (uint32_t i = 0; i < count; i++) {
        heddle_event_t e = {rest.at, rest.len < 112 ? 0 : heddle_u32(rest.at), i, S("")};
        if (e.size < 112 || e.size > rest.len || len > HEDDLE_INPUT) return HEDDLE_INVALID;
        if (heddle_hook(&e) == HEDDLE_BEFORE || heddle_hook(&e) == HEDDLE_HANDLE) e.on = heddle_action(&e);
        heddle_event(&e);
        if (heddle_state.failed) return HEDDLE_FAILED;
        rest = (heddle_str){rest.at + e.size, rest.len - e.size};
    }
    return (int32_t)heddle_state.used;
}

#endif
