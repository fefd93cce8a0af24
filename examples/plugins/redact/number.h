/* Payment cards and phone numbers: digits in groups.
 *
 * A card has 13 to 19 digits, the first one from 2 to 6, in groups with a space or a
 * hyphen between, and Luhn's check digit (ISO/IEC 7812-1).
 *
 * Phone numbers have no check digit, and prices, dates and numbers of orders have
 * digits, too. So only what is written as one is taken for one: with a + or a 0 in
 * front, or in groups of 3, 3 and 4 as in North America. */

#define MOST_DIGITS 19

/* The digits of a number so far. */
typedef struct {
    uint32_t count;
    uint32_t shape;     /* sizes of the groups, four bits each */
    uint32_t even, odd; /* Luhn's sums, if the digits at even or odd places are doubled */
    bool plus;          /* there is a + in front */
    bool loose;         /* groups are separated as those of cards are not */
} digits;

static inline bool is_card(byte first, const digits *d) {
    return d->count >= 13 && first >= '2' && first <= '6' && !d->plus && !d->loose && (d->count % 2 ? d->odd : d->even) % 10 == 0;
}

static inline bool is_phone(byte first, const digits *d) {
    if (d->plus) return d->count >= 8 && d->count <= 15;      /* ITU-T E.164 */
    if (first == '0') return d->count >= 9 && d->count <= 17; /* 00 and the same, or a trunk's 0 */
    return d->shape == 0x334 || d->shape == 0x1334;
}

/* Whether a number may begin at p: not within a word, a fraction, a path or an identifier. */
static inline bool begins(byte *p, byte *floor) {
    byte c = before(p, floor), earlier = c ? before(p - 1, floor) : 0;
    if (c == '.' || c == ',') return !is(earlier, DIGIT);
    if (c == '-' || c == '/') return !is(earlier, DIGIT | LETTER);
    return !is(c, DIGIT | LETTER) && c != '_';
}

/* Whether one may end in front of p: what follows a date may be the time of day, and
 * what an @ follows is an address. */
static inline bool ends(byte *p) { return !is(*p, DIGIT | LETTER) && *p != '_' && *p != '@' && (*p != ':' || !is(p[1], DIGIT)); }

/* Where the next group begins, NULL if there is none. */
static inline byte *next_group(byte *p, digits *d) {
    byte *from = p;
    for (; is(*p, GAP) && p - from < 6; p++)
        if (*p == '(' && p[1] == '0' && p[2] == ')') p += 2; /* +49 (0)30 … */
    if (p == from || !is(*p, DIGIT)) return NULL;
    d->loose |= p - from > 1 || (*from != ' ' && *from != '-');
    return p;
}

/* The number whose first digit is at p. Of several that it may be it is the longest. */
static finding number(byte *p, byte *floor) {
    const byte first = *p;
    digits d = {0};
    byte *from = p, *to = NULL;
    for (byte c; (c = before(from, floor)) == '(' || (c == '+' && !d.plus); from--) d.plus |= c == '+';
    if (!begins(from, floor)) return nothing;
    /* How small groups may be bounds how often the same digits are looked at. A single 1 comes first in North America. */
    const uint32_t least = d.plus ? 1 : first == '0' ? 2 : 3;
    bool card = false;
    do {
        uint32_t size = 0;
        for (; is(*p, DIGIT); p++, size++, d.count++) {
            uint32_t n = *p - '0', twice = 2 * n - (n > 4 ? 9 : 0);
            d.even += d.count % 2 ? n : twice;
            d.odd += d.count % 2 ? twice : n;
        }
        if (d.count > MOST_DIGITS || (size < least && (first != '1' || d.shape))) break;
        d.shape = d.shape << 4 | (size < 15 ? size : 15);
        if (!ends(p)) continue;
        if (is_card(first, &d)) card = true, to = p;
        else if (!card && is_phone(first, &d)) to = p;
    } while ((p = next_group(p, &d)));
    if (!to) return nothing;
    if (*from == '(' && *to == ')') from++; /* both brackets are around it */
    return (finding){from, to, card ? S("[card]") : S("[phone]")};
}
