/* Reading the inside of a JSON string as it stands, byte by byte.
 *
 * Loops over letters, digits and space do not look where the payload ends: its last
 * byte is a bracket, which is neither. Others have the end. */

#ifdef __wasm_simd128__
#include <wasm_simd128.h>
#endif

typedef unsigned char byte;

/* What was found: bytes that a label stands for. to is NULL if it is nothing. The label
 * is no longer than they are. */
typedef struct {
    byte *from, *to;
    heddle_str label;
} finding;

#define nothing ((finding){NULL, NULL, HEDDLE_NONE})

enum { DIGIT = 1, LETTER = 2, LOCAL = 4 /* of e-mail addresses, beside these */, GAP = 8 /* between digits */ };
static const byte kinds[256] = {
    ['0' ... '9'] = DIGIT, ['a' ... 'z'] = LETTER, ['A' ... 'Z'] = LETTER, ['.'] = LOCAL | GAP, ['-'] = LOCAL | GAP,
    ['_'] = LOCAL, ['+'] = LOCAL, ['%'] = LOCAL, [' '] = GAP, ['/'] = GAP, ['('] = GAP, [')'] = GAP,
};
#define is(c, kind) ((kinds[(byte)(c)] & (kind)) != 0)

/* The byte before p, 0 if that belongs to something else. */
static inline byte before(byte *p, byte *floor) { return p > floor ? p[-1] : 0; }

static inline byte *behind_space(byte *p) {
    while (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t') p++;
    return p;
}

/* Marks the bytes of eight that are digits: the upper bit of each. */
static inline uint64_t digit_marks(uint64_t eight) {
    const uint64_t ones = 0x0101010101010101u, upper = ones * 0x80;
    uint64_t x = eight ^ ones * '0'; /* 0 to 9, if it is one */
    return ~(((x & ~upper) + ones * (0x7f - 9)) | x) & upper;
}

/* The next byte that matters: a quote, a backslash, an @ or a digit; end if there is
 * none. Nearly all bytes are gone over here, sixteen at a time with -msimd128, else
 * eight. */
static inline byte *next_mark(byte *p, byte *end) {
#ifdef __wasm_simd128__
    for (; end - p >= 16; p += 16) {
        v128_t all = wasm_v128_load(p), digit = wasm_u8x16_lt(wasm_i8x16_sub(all, wasm_i8x16_const_splat('0')), wasm_i8x16_const_splat(10));
        v128_t quote = wasm_i8x16_eq(all, wasm_i8x16_const_splat('"')), backslash = wasm_i8x16_eq(all, wasm_i8x16_const_splat('\\'));
        v128_t marks = wasm_v128_or(wasm_v128_or(digit, quote), wasm_v128_or(backslash, wasm_i8x16_eq(all, wasm_i8x16_const_splat('@'))));
        uint32_t bits = wasm_i8x16_bitmask(marks);
        if (bits) return p + __builtin_ctz(bits);
    }
#endif
    for (; end - p >= 8; p += 8) {
        uint64_t eight = heddle_u64(p);
        uint64_t marks = digit_marks(eight) | heddle_marks(eight, '"') | heddle_marks(eight, '\\') | heddle_marks(eight, '@');
        if (marks) return p + __builtin_ctzll(marks) / 8;
    }
    while (p < end && *p != '"' && *p != '\\' && *p != '@' && !is(*p, DIGIT)) p++;
    return p;
}

/* Where to go on behind an @ or digits that were nothing. */
static inline byte *behind_mark(byte *p) {
    if (*p == '@') return p + 1;
    while (is(*p, DIGIT)) p++;
    return p;
}

/* ---- Escapes ---- */

static inline byte *behind_escape(byte *p, byte *end) {
    int n = p + 1 < end && p[1] == 'u' ? 6 : 2;
    return end - p > n ? p + n : end;
}

/* Whether the escape at p hides what may be part of a finding: the "@" of
 * "ann\u0040example.com", or the letter of "m\u00fcller.example". */
static bool hides(byte *p, byte *end) {
    if (end - p < 6 || p[1] != 'u') return false;
    int32_t c = heddle_json_hex4((heddle_str){(char *)p, 6}, 2);
    return c == '@' || (c >= 0xc0 && c < 0x800) || (c > 0 && c < 0x80 && is(c, DIGIT | LETTER | LOCAL | GAP));
}

/* Writes these characters out, where they are; that takes fewer bytes. It means the same. */
static void write_out(heddle_str *json) {
    byte *out = (byte *)json->at, *end = out + json->len;
    for (byte *p = out; p < end;) {
        byte *behind = *p == '\\' ? behind_escape(p, end) : p + 1;
        if (*p == '\\' && hides(p, end)) {
            char utf8[6];
            heddle_buf b = HEDDLE_BUF(utf8);
            heddle_put_unescaped(&b, (heddle_str){(char *)p, 6});
            for (uint32_t i = 0; i < b.len; i++) *out++ = (byte)utf8[i];
            p = behind;
        }
        while (p < behind) *out++ = *p++;
    }
    json->len = (uint32_t)(out - (byte *)json->at);
}
