/* Runs on the machine that builds: heddle.h against the contract's golden files.
 * usage: units RECORDS ACTIONS; it prints what is wrong. */
#define HEDDLE_OUTPUT 4096
#include "../../heddle.h"

#include <stdio.h>
#include <string.h>

static int wrong;
#define CHECK(is) ((is) ? (void)0 : (void)(wrong++, printf("units.c:%d: %s\n", __LINE__, #is)))
#define SAME(got, want) same(__LINE__, (got), S(want))

static void same(int line, heddle_str got, heddle_str want) {
    if (heddle_equal(got, want)) return;
    wrong++;
    printf("units.c:%d: \"%.*s\", not \"%.*s\"\n", line, (int)got.len, got.at, (int)want.len, want.at);
}

/* The host: it keeps the last line that was logged, and has one value. */
static char line[200];
static int lines;
static const char value[] = "twelve bytes";

void heddle_host_log(int32_t level, const void *text, uint32_t len) {
    lines++;
    snprintf(line, sizeof line, "%d %.*s", level, (int)len, (const char *)text);
}
static int32_t give(void *buffer, uint32_t cap) {
    if (cap >= 12) memcpy(buffer, value, 12);
    return 12;
}
int32_t heddle_host_config(void *b, uint32_t n) { return give(b, n); }
int32_t heddle_host_kv_get(const void *k, uint32_t n, void *b, uint32_t c) { return (void)k, n == 4 ? HEDDLE_NOT_FOUND : give(b, c); }
int32_t heddle_host_kv_swap(const void *k, uint32_t n, const void *a, int32_t an, const void *b, int32_t bn, int64_t ttl) {
    return (void)k, (void)n, (void)a, (void)b, (void)ttl, an == -1 && bn == 0 ? HEDDLE_OK : HEDDLE_CONFLICT;
}
int32_t heddle_host_lookup(int32_t kind, const void *name, uint32_t n, void *b, uint32_t c) {
    snprintf(b, c, "%d %.*s", kind, (int)n, (const char *)name);
    return (int32_t)strlen(b);
}

static void views(void) {
    heddle_str s = S("conv:42");
    CHECK(heddle_at(s, 0) == 'c' && heddle_at(s, 6) == '2' && heddle_at(s, 7) == -1 && heddle_at(S("\xff"), 0) == 255);
    SAME(heddle_sub(s, 5, 2), "42");
    SAME(heddle_sub(s, 5, UINT32_MAX), "42");
    SAME(heddle_sub(s, UINT32_MAX, UINT32_MAX), "");
    CHECK(heddle_starts(s, S("conv:")) && !heddle_starts(s, S("conv:421")) && heddle_starts(s, S("")));
    CHECK(heddle_ends(s, S(":42")) && !heddle_ends(s, S("conv::42")) && heddle_ends(s, S("")));
    CHECK(heddle_find(s, S(":")) == 4 && heddle_find(s, S("42")) == 5 && heddle_find(s, S("423")) == -1 && heddle_find(s, S("")) == 0);
    CHECK(heddle_find(S(""), S("a")) == -1 && heddle_find(S("aab"), S("ab")) == 1);
    CHECK(heddle_equal(S("message:send"), S("message:send")) && !heddle_equal(S("message:send"), S("message:sent")));
    CHECK(!heddle_equal(S("12345678a"), S("12345678b")) && !heddle_equal(S("x2345678"), S("y2345678")));
    CHECK(heddle_compare(S("a"), S("b")) < 0 && heddle_compare(S("b"), S("a")) > 0 && heddle_compare(S("a"), S("a")) == 0);
    CHECK(heddle_compare(S("a"), S("ab")) < 0 && heddle_compare(S("ab"), S("a")) > 0 && heddle_compare(S("\xff"), S("a")) > 0);
}

static void buffers(void) {
    char small[10];
    heddle_buf b = HEDDLE_BUF(small);
    heddle_put(&b, S("12345678"));
    heddle_put(&b, S("abc"));
    heddle_put(&b, S("d"));
    CHECK(b.full);
    SAME(heddle_text(&b), "12345678");

    char large[200];
    b = HEDDLE_BUF(large);
    heddle_put_int(&b, INT64_MIN), heddle_put_byte(&b, ' '), heddle_put_int(&b, 0), heddle_put_byte(&b, ' ');
    heddle_put_uint(&b, UINT64_MAX), heddle_put_byte(&b, ' '), heddle_put_hex(&b, 0xabc, 4), heddle_put_hex(&b, UINT64_MAX, 16);
    SAME(heddle_text(&b), "-9223372036854775808 0 18446744073709551615 0abcffffffffffffffff");
    for (uint32_t n = 0; n < 130; n++) {
        char from[130], to[132];
        for (uint32_t i = 0; i < n; i++) from[i] = (char)(i + 1);
        memset(to, 'x', sizeof to);
        heddle_copy(to + 1, from, n);
        CHECK(memcmp(to + 1, from, n) == 0 && to[0] == 'x' && to[n + 1] == 'x');
    }
}

static void host(void) {
    char text[20];
    heddle_buf b = HEDDLE_BUF(text);
    CHECK(heddle_kv_get(S("gone"), &b) == HEDDLE_NOT_FOUND && b.len == 0);
    CHECK(heddle_kv_get(S("key"), &b) == HEDDLE_OK);
    CHECK(heddle_config(&b) == HEDDLE_FAILED && b.full); /* 8 bytes are left for 12 */
    SAME(heddle_text(&b), "twelve bytes");
    CHECK(heddle_kv_swap(S("k"), HEDDLE_NONE, S(""), 0) == HEDDLE_OK && heddle_kv_swap(S("k"), S(""), HEDDLE_NONE, 0) == HEDDLE_CONFLICT);
    b = HEDDLE_BUF(text);
    CHECK(heddle_lookup_member(S("conv:1"), S("ann"), &b) == HEDDLE_OK);
    SAME(heddle_text(&b), "3 conv:1 ann");
    b = HEDDLE_BUF(text);
    CHECK(heddle_lookup_members(S("conv:1"), S(""), &b) == HEDDLE_OK);
    SAME(heddle_text(&b), "2 conv:1");
}

static void escapes(const char *text, uint32_t len, const char *want) {
    char out[400];
    heddle_buf b = HEDDLE_BUF(out);
    heddle_put_json(&b, (heddle_str){text, len});
    same(__LINE__, heddle_text(&b), (heddle_str){want, (uint32_t)strlen(want)});
    heddle_str inside = heddle_sub(heddle_text(&b), 1, b.len - 2);
    char again[400];
    heddle_buf plain = HEDDLE_BUF(again);
    heddle_put_unescaped(&plain, inside);
    same(__LINE__, heddle_text(&plain), (heddle_str){text, len});
}

static void means(const char *inside, const char *want) {
    char out[100];
    heddle_buf b = HEDDLE_BUF(out);
    heddle_put_unescaped(&b, (heddle_str){inside, (uint32_t)strlen(inside)});
    same(__LINE__, heddle_text(&b), (heddle_str){want, (uint32_t)strlen(want)});
}

static void json(void) {
    escapes("", 0, "\"\"");
    escapes("h\xc3\xa9 \"a\\b\" \x7f", 11, "\"h\xc3\xa9 \\\"a\\\\b\\\" \x7f\"");
    escapes("\n\r\t\b\f\x01\x1f\0", 8, "\"\\n\\r\\t\\b\\f\\u0001\\u001f\\u0000\"");
    means("\\u00e9\\u20AC\\ud83d\\ude00\\/\\\"", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80/\"");
    means("a\\ud83dx", "a\xef\xbf\xbdx");
    means("\\ud83d\\u0041", "\xef\xbf\xbd" "A");
    means("\\ude00", "\xef\xbf\xbd");
    means("\\u12", "\xef\xbf\xbd"); /* cut off */
    means("a\\", "a");

    heddle_str v = S("untouched"), object = S(" { \"a\" : 1 , \"b\":\"x\\\"}\", \"c\":[{\"a\":2},\"]\"],\"d\":{\"a\":{}} ,\"t\\u0065xt\":\"hidden\",\"n\":null}");
    CHECK(heddle_json_get(object, S("a"), &v)), SAME(v, "1");
    CHECK(heddle_json_get(object, S("b"), &v)), SAME(v, "\"x\\\"}\"");
    CHECK(heddle_json_get(object, S("c"), &v)), SAME(v, "[{\"a\":2},\"]\"]");
    CHECK(heddle_json_get(object, S("d"), &v) && heddle_json_get(v, S("a"), &v)), SAME(v, "{}");
    CHECK(heddle_json_get(object, S("text"), &v)), SAME(v, "\"hidden\"");
    CHECK(heddle_json_get(object, S("n"), &v)), SAME(v, "null");
    CHECK(heddle_json_string(object, S("b"), &v)), SAME(v, "x\\\"}");
    CHECK(!heddle_json_string(object, S("a"), &v) && !heddle_json_get(object, S("e"), &v) && !heddle_json_get(S("[1]"), S("a"), &v));
    CHECK(heddle_json_get(S("{\"a\":1,\"a\":2}"), S("a"), &v)), SAME(v, "2");
    CHECK(heddle_json_get(S("{\"a\\\\b\":1}"), S("a\\b"), &v) && !heddle_json_get(S("{\"a\\\\b\":1}"), S("a\\\\b"), &v));
    CHECK(heddle_json_string(S("{\"a\":\"0123456789abcdef\\\\\",\"z\":\"last one\"}"), S("z"), &v)), SAME(v, "last one");

    heddle_str whole = S("{\"text\":\"hello \\\"you\\\"\",\"to\":[\"ann\"],\"n\":12}");
    for (uint32_t n = 0; n < whole.len; n++) { /* of a prefix, what is there, and never more */
        char cut[100];
        memset(cut, '"', sizeof cut);
        memcpy(cut, whole.at, n);
        heddle_str part = {cut, n};
        CHECK(heddle_json_string(part, S("text"), &v) == (n >= 23));
        CHECK(!heddle_json_get(part, S("n"), &v));
    }
    uint32_t at = 0, count = 0;
    bool key;
    char all[100];
    heddle_buf b = HEDDLE_BUF(all);
    while (heddle_json_next(whole, &at, &v, &key)) heddle_put(&b, v), heddle_put_byte(&b, key ? ':' : ';'), count++;
    CHECK(count == 5), SAME(heddle_text(&b), "text:hello \\\"you\\\";to:ann;n:");
}

/* ---- Golden files ---- */

static char records[8192], wanted[8192];
static uint32_t records_len, wanted_len, events;

static uint32_t load(const char *name, char *into, uint32_t cap) {
    FILE *f = fopen(name, "rb");
    if (!f) return wrong++, printf("%s cannot be read\n", name), 0;
    uint32_t n = (uint32_t)fread(into, 1, cap, f);
    fclose(f);
    return n;
}

static void first(heddle_event_t *e) {
    CHECK(heddle_hook(e) == HEDDLE_BEFORE && heddle_codec(e) == HEDDLE_CODEC_JSON && heddle_attempt(e) == 0);
    CHECK(heddle_durable(e) && !heddle_prefix(e) && !heddle_server(e));
    CHECK(heddle_sequence(e) == 1 && heddle_time(e) == 1767225600000 && heddle_connection(e) == 7 && heddle_payload_size(e) == 14);
    SAME(heddle_tenant(e), "acme"), SAME(heddle_user(e), "ann"), SAME(heddle_device(e), "phone"), SAME(heddle_room(e), "conv:42");
    SAME(heddle_action(e), "message:send"), SAME(heddle_id(e), "m-1"), SAME(heddle_payload(e), "{\"text\":\"h\xc3\xa9\"}");
    CHECK(heddle_on(e, S("message:send")) && !heddle_on(e, S("message:edit")) && heddle_on_hook(e, HEDDLE_BEFORE));
    SAME(heddle_attr_text(e, S("text")), "h\xc3\xa9");
    CHECK(heddle_attr_int(e, S("count")) == -3 && heddle_attr_float(e, S("count")) == -3 && heddle_attr_float(e, S("ratio")) == 0.25);
    CHECK(heddle_attr_bool(e, S("urgent")) && heddle_attr_has(e, S("urgent")) && heddle_attr_int(e, S("urgent")) == 0);
    SAME(heddle_attr_json(e, S("tags")), "[\"a\",\"b\"]");
    SAME(heddle_attr_text(e, S("tags")), "");
    CHECK(!heddle_attr_has(e, S("absent")) && !heddle_attr_has(e, S("nope")) && heddle_attr(e, S("absent")).type == HEDDLE_ATTR_NONE);
    heddle_attr_t a;
    uint32_t n = 0;
    for (uint32_t at = 0; heddle_attr_next(e, &at, &a);) n++;
    CHECK(n == 6);
    SAME(a.name, "absent");
}

static void golden(heddle_event_t *e) {
    switch (events++) {
    case 0: first(e); break;
    case 1:
        CHECK(heddle_on_hook(e, HEDDLE_TIMER) && heddle_time(e) == -1 && heddle_attempt(e) == 1);
        SAME(heddle_id(e), "nightly"), SAME(heddle_user(e), "");
        break;
    case 2:
        CHECK(heddle_on_hook(e, HEDDLE_REQUEST) && heddle_codec(e) == HEDDLE_CODEC_BYTES && heddle_prefix(e) && heddle_server(e));
        CHECK(!heddle_durable(e) && heddle_sequence(e) == 1ull << 63 && heddle_payload_size(e) == 100000);
        CHECK(heddle_payload(e).len == 4 && heddle_at(heddle_payload(e), 3) == 255);
    }
    if (events < 3) return;
    heddle_event_t zero = *e, one = *e, *two = e;
    zero.index = 0, one.index = 1;
    heddle_pass(&zero);
    heddle_invalid(&one, S("data.text: too long"));
    heddle_replace(&zero, S("{\"text\":\"***\"}"));
    heddle_set_attr(&zero, S("lang"), S("\"fr\""));
    heddle_emit_with(two, S("conv:1"), S("order:created"), S("{\"id\":1}"), (heddle_emit_options){.durable = true});
    heddle_emit_with(&zero, S("user:bob"), S("order:seen"), S("{}"), (heddle_emit_options){.device = S("phone")});
    heddle_route(&zero, S("conv:eu"));
    heddle_respond(&zero, 202, S("application/json"), S("{\"ok\":true}"));
    heddle_http(&zero, S("POST"), S("https://example.com/x"), S("content-type: text/plain"), S("hi"), S("42"), 1500);
    heddle_set_timer(&zero, S("nightly"), 3600000, S("{\"n\":1}"));
    heddle_cancel_timer(&zero, S("nightly"));
}

static void (*now)(heddle_event_t *e);
void heddle_event(heddle_event_t *e) { now(e); }
heddle_status heddle_start(heddle_str config) { return heddle_equal(config, S("{}")) ? HEDDLE_OK : heddle_fail(S("no config")); }

static void fill(heddle_event_t *e) {
    uint32_t n = 0;
    while (heddle_emit(e, S("conv:1"), S("a:b"), S("{}")) == HEDDLE_OK) n++;
    CHECK(n == 4096 / 72); /* 56 bytes behind it are left */
    CHECK(heddle_pass(e) == HEDDLE_OK && heddle_pass(e) == HEDDLE_FAILED);
    CHECK(heddle_replace(e, (heddle_str){line, UINT32_MAX}) == HEDDLE_FAILED);
}
static void fail(heddle_event_t *e) { (void)e, heddle_fail(S("told why")); }
static void nothing(heddle_event_t *e) { (void)e, events++; }

static int32_t run(void (*f)(heddle_event_t *), uint32_t count, uint32_t len) {
    now = f, events = 0, lines = 0;
    memset(heddle_state.out + 8, 0xaa, HEDDLE_OUTPUT); /* what was there before must not show */
    memcpy(heddle_state.in + 8, records, records_len);
    return heddle_batch(count, len);
}

static void batches(void) {
    CHECK(run(golden, 3, records_len) == (int32_t)wanted_len && memcmp(heddle_state.out + 8, wanted, wanted_len) == 0);
    CHECK(heddle_abi() == 1 && heddle_buffers() != 0 && heddle_u32(heddle_state.in) == HEDDLE_INPUT && heddle_u32(heddle_state.out) == 4096);
    CHECK(run(fill, 1, records_len) == HEDDLE_FAILED && lines == 1 && strstr(line, "3 the output is full"));
    CHECK(run(fill, 3, records_len) == HEDDLE_FAILED && lines == 1 && strstr(line, "2 the output is full") && heddle_state.used == 4088);
    CHECK(run(fail, 3, records_len) == HEDDLE_FAILED && lines == 1 && !strcmp(line, "3 told why"));
    CHECK(run(nothing, 3, records_len) == 0 && events == 3);
    CHECK(run(nothing, 4, records_len) == HEDDLE_INVALID && run(nothing, 3, records_len - 8) == HEDDLE_INVALID);
    CHECK(run(nothing, 1, UINT32_MAX) == HEDDLE_INVALID && run(nothing, 0, 0) == 0);
    memcpy(heddle_state.in + 8, "{}", 2);
    CHECK(heddle_init(2) == HEDDLE_OK && heddle_init(1) == HEDDLE_FAILED);
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    records_len = load(argv[1], records, sizeof records);
    wanted_len = load(argv[2], wanted, sizeof wanted);
    views(), buffers(), host(), json(), batches();
    return wrong != 0;
}
