/* E-mail addresses: a local part, an @, and a domain of at least two labels whose last
 * one begins with letters. That is narrower than RFC 5321, as people write addresses:
 * without comments, quotes, or addresses of hosts. */

/* Whether two bytes are a letter that is no ASCII: UTF-8 of two bytes,
 * U+00C0 to U+07FF, is Latin, Greek, Cyrillic and others that put a space in front of
 * an address. Scripts of three bytes often do not, and would be taken for a part of it. */
static inline bool is_wide(byte *p) { return *p >= 0xc3 && *p <= 0xdf && (p[1] & 0xc0) == 0x80; }

/* Where the local part begins that ends at p. */
static inline byte *local_part(byte *p, byte *floor) {
    for (;;) {
        if (is(before(p, floor), DIGIT | LETTER | LOCAL)) p--;
        else if (p - floor >= 2 && is_wide(p - 2)) p -= 2;
        else return p;
    }
}

/* Where the domain ends that begins at p, NULL if there is none. */
static inline byte *domain(byte *p) {
    byte *end = NULL;
    for (bool first = true;; first = false) {
        byte *label = p, *letters = NULL; /* letters: where those end that it begins with */
        for (;;) {
            bool letter = is(*p, LETTER), wide = is_wide(p);
            if (!letter && !wide && !letters) letters = p;
            if (!letter && !wide && !is(*p, DIGIT) && *p != '-') break;
            p += wide ? 2 : 1;
        }
        if (p - label > 4 && heddle_equal((heddle_str){(char *)label, 4}, S("xn--"))) letters = p;
        if (!first && letters - label > 1) end = letters; /* of "com2" it is "com": who wants to get past this writes more behind it */
        if (p == label || *p != '.') return end;
        p++;
    }
}

/* The address whose @ is at p. */
static finding email(byte *p, byte *floor) {
    byte *from = local_part(p, floor);
    while (*from == '.') from++; /* "... ann@example.com" */
    byte *to = from < p ? domain(p + 1) : NULL;
    if (!to) return nothing;
    return (finding){from, to, to - from < 7 ? S("[mail]") : S("[email]")}; /* "a@b.co" has six bytes */
}
