/* IBANs, ISO 13616: two letters, two check digits, 11 to 30 letters and digits, written
 * together or in groups of four. Each country has a length of its own; in the place of a
 * list of these, which would age, the check digits decide: one in 97 other numbers of
 * this form is taken for one. */

/* The remainder of a number, with one more letter or digit behind it. */
static inline uint32_t with(uint32_t rest, byte c) {
    return is(c, DIGIT) ? (rest * 10 + c - '0') % 97 : (rest * 100 + (c | 32u) - 'a' + 10) % 97;
}

/* The IBAN whose check digits begin at p. */
static finding iban(byte *p, byte *floor) {
    if (p - floor < 2 || !is(p[-1], LETTER) || !is(p[-2], LETTER) || is(before(p - 2, floor), DIGIT | LETTER) || !is(p[1], DIGIT)) return nothing;
    byte *from = p - 2, *to = NULL;
    bool grouped = is(p[2], GAP);
    uint32_t rest = 0, n = 4;
    for (p += 2;; p++) {
        while (is(*p, DIGIT | LETTER)) {
            if (++n > 34) goto end;
            rest = with(rest, *p++);
        }
        if (n >= 15 && with(with(with(with(rest, from[0]), from[1]), from[2]), from[3]) == 1)
            to = p; /* ISO 7064, MOD 97-10, the first four at the end. Of several, the longest: a word too much does no harm, digits that are left would. */
        if (!grouped || n % 4 || (*p != ' ' && *p != '-') || !is(p[1], DIGIT | LETTER)) break;
    }
end:
    return to ? (finding){from, to, S("[iban]")} : nothing;
}
