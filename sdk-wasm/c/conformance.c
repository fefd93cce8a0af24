/* The guest of the conformance cases: sdk-wasm/conformance/cases.md says what it does. */
#include "heddle.h"

static char space[64 << 10];

static void put_bool(heddle_buf *b, bool is) { heddle_put(b, is ? S("true") : S("false")); }

static void put_bits(heddle_buf *b, double number) {
    heddle_put(b, S("\"0x"));
    heddle_put_hex(b, heddle_u64(&number), 16);
    heddle_put_byte(b, '"');
}

static heddle_str word(heddle_status status) {
    static const char *const words[] = {"ok", "not_found", "denied", "quota", "invalid", "conflict", "unavailable", "failed"};
    const char *text = status <= 0 && status >= HEDDLE_FAILED ? words[-status] : "unknown";
    uint32_t n = 0;
    while (text[n]) n++;
    return (heddle_str){text, n};
}

static heddle_str hook_name(heddle_hook_t hook) {
    switch (hook) {
    case HEDDLE_BEFORE: return S("before");
    case HEDDLE_HANDLE: return S("handle");
    case HEDDLE_CONNECT: return S("connect");
    case HEDDLE_JOIN: return S("join");
    case HEDDLE_REQUEST: return S("request");
    default: return S("");
    }
}

static void put_field(heddle_buf *b, heddle_str name, heddle_str value) {
    heddle_put(b, name);
    heddle_put_json(b, value);
}

static void put_attr(heddle_buf *b, const heddle_attr_t *a) {
    static const heddle_str types[] = {{"none", 4}, {"bool", 4}, {"int", 3}, {"float", 5}, {"text", 4}, {"json", 4}};
    put_field(b, S("{\"name\":"), a->name);
    put_field(b, S(",\"type\":"), types[a->type]);
    heddle_put(b, S(",\"value\":"));
    switch (a->type) {
    case HEDDLE_ATTR_BOOL: put_bool(b, a->boolean); break;
    case HEDDLE_ATTR_INT: heddle_put_int(b, a->integer); break;
    case HEDDLE_ATTR_FLOAT: put_bits(b, a->number); break;
    case HEDDLE_ATTR_TEXT: heddle_put_json(b, a->text); break;
    case HEDDLE_ATTR_JSON: heddle_put(b, a->json); break;
    default: heddle_put(b, S("null"));
    }
    heddle_put_byte(b, '}');
}

static void echo(heddle_event_t *e) {
    heddle_buf b = HEDDLE_BUF(space);
    put_field(&b, S("{\"hook\":"), hook_name(heddle_hook(e)));
    put_field(&b, S(",\"tenant\":"), heddle_tenant(e));
    put_field(&b, S(",\"user\":"), heddle_user(e));
    put_field(&b, S(",\"device\":"), heddle_device(e));
    put_field(&b, S(",\"room\":"), heddle_room(e));
    put_field(&b, S(",\"action\":"), heddle_action(e));
    put_field(&b, S(",\"id\":"), heddle_id(e));
    heddle_put(&b, S(",\"time\":")), heddle_put_int(&b, heddle_time(e));
    heddle_put(&b, S(",\"sequence\":")), heddle_put_uint(&b, heddle_sequence(e));
    heddle_put(&b, S(",\"connection\":")), heddle_put_uint(&b, heddle_connection(e));
    heddle_put(&b, S(",\"attempt\":")), heddle_put_uint(&b, heddle_attempt(e));
    heddle_put(&b, S(",\"durable\":")), put_bool(&b, heddle_durable(e));
    heddle_put(&b, S(",\"server\":")), put_bool(&b, heddle_server(e));
    heddle_put(&b, S(",\"prefix\":")), put_bool(&b, heddle_prefix(e));
    heddle_codec_t codec = heddle_codec(e);
    put_field(&b, S(",\"codec\":"), codec == HEDDLE_CODEC_JSON ? S("json") : codec == HEDDLE_CODEC_BYTES ? S("bytes") : S("none"));
    heddle_put(&b, S(",\"payload_size\":")), heddle_put_uint(&b, heddle_payload_size(e));
    heddle_put(&b, S(",\"attrs\":["));
    heddle_attr_t a;
    for (uint32_t at = 0, first = 1; heddle_attr_next(e, &at, &a); first = 0) {
        if (!first) heddle_put_byte(&b, ',');
        put_attr(&b, &a);
    }
    heddle_put(&b, S("]}"));
    heddle_reply(e, heddle_text(&b));
}

static void attributes(heddle_event_t *e) {
    heddle_buf b = HEDDLE_BUF(space);
    heddle_put(&b, S("{\"bool\":")), put_bool(&b, heddle_attr_bool(e, S("b")));
    heddle_put(&b, S(",\"int\":")), heddle_put_int(&b, heddle_attr_int(e, S("i")));
    heddle_put(&b, S(",\"float\":")), put_bits(&b, heddle_attr_float(e, S("f")));
    put_field(&b, S(",\"text\":"), heddle_attr_text(e, S("t")));
    heddle_put(&b, S(",\"missing\":")), put_bool(&b, !heddle_attr_has(e, S("nope")));
    heddle_put_byte(&b, '}');
    heddle_reply(e, heddle_text(&b));
}

static void replace(heddle_event_t *e) {
    static char larger[sizeof space * 4];
    heddle_buf b = HEDDLE_BUF(larger);
    heddle_put(&b, S("{\"was\":")), heddle_put(&b, heddle_payload(e)), heddle_put_byte(&b, '}');
    if (b.full) heddle_fail(S("the payload is too long"));
    heddle_replace(e, heddle_text(&b));
}

static void payload(heddle_event_t *e) {
    uint64_t hash = 0xcbf29ce484222325u;
    uint32_t size = 0;
    unsigned char piece[100];
    for (int32_t n; (n = heddle_payload_from(e, size, piece, sizeof piece)) > 0; size += (uint32_t)n)
        for (int32_t i = 0; i < n; i++) hash = (hash ^ piece[i]) * 0x100000001b3u;
    heddle_buf b = HEDDLE_BUF(space);
    heddle_put(&b, S("{\"size\":")), heddle_put_uint(&b, size);
    heddle_put(&b, S(",\"fnv\":\"")), heddle_put_hex(&b, hash, 16), heddle_put(&b, S("\"}"));
    heddle_reply(e, heddle_text(&b));
}

static void kv(heddle_event_t *e) {
    char value[100];
    heddle_buf b = HEDDLE_BUF(space), v = HEDDLE_BUF(value);
    const heddle_str k = S("k");
    int64_t sum = 0;
    heddle_kv_put(k, S("v"), 0);
    heddle_status got = heddle_kv_get(k, &v);
    put_field(&b, S("{\"get\":"), got == HEDDLE_OK ? heddle_text(&v) : word(got));
    put_field(&b, S(",\"swap\":"), word(heddle_kv_swap(k, S("v"), S("w"), 0)));
    put_field(&b, S(",\"again\":"), word(heddle_kv_swap(k, S("v"), S("x"), 0)));
    heddle_kv_add(S("n"), 5, 0, NULL), heddle_kv_add(S("n"), -2, 0, &sum);
    heddle_put(&b, S(",\"sum\":")), heddle_put_int(&b, sum);
    heddle_kv_delete(k);
    v.len = 0;
    put_field(&b, S(",\"gone\":"), word(heddle_kv_get(k, &v)));
    heddle_put_byte(&b, '}');
    heddle_reply(e, heddle_text(&b));
}

static void host(heddle_event_t *e) {
    uint8_t bytes[16] = {0}, any = 0;
    heddle_random(bytes, sizeof bytes);
    for (uint32_t i = 0; i < sizeof bytes; i++) any |= bytes[i];
    heddle_buf b = HEDDLE_BUF(space);
    heddle_put(&b, S("{\"now\":")), put_bool(&b, heddle_now() > 0);
    heddle_put(&b, S(",\"random\":")), put_bool(&b, any != 0);
    heddle_put(&b, S(",\"config\":")), heddle_config(&b);
    char text[1000];
    heddle_buf secret = HEDDLE_BUF(text);
    heddle_secret(S("token"), &secret);
    put_field(&b, S(",\"secret\":"), heddle_text(&secret));
    heddle_put_byte(&b, '}');
    heddle_debug(S("debug line")), heddle_info(S("info line")), heddle_warn(S("warn line")), heddle_error(S("error line"));
    heddle_count(S("hits"), 2), heddle_gauge(S("level"), 0.5), heddle_observe(S("took"), 0.25);
    heddle_reply(e, heddle_text(&b));
}

static void found(heddle_buf *b, heddle_status status) {
    if (status != HEDDLE_OK) heddle_put_json(b, word(status));
}

static void lookup(heddle_event_t *e) {
    heddle_buf b = HEDDLE_BUF(space);
    const heddle_str room = S("conv:1"), user = S("ann");
    heddle_put(&b, S("{\"room\":")), found(&b, heddle_lookup_room(room, &b));
    heddle_put(&b, S(",\"member\":")), found(&b, heddle_lookup_member(room, user, &b));
    heddle_put(&b, S(",\"presence\":")), found(&b, heddle_lookup_presence(user, &b));
    heddle_put(&b, S(",\"members\":")), found(&b, heddle_lookup_members(room, S(""), &b));
    heddle_put_byte(&b, '}');
    heddle_reply(e, heddle_text(&b));
}

static void fill(heddle_event_t *e) {
    heddle_buf b = HEDDLE_BUF(space);
    heddle_put(&b, S("{\"x\":\""));
    while (b.len < 998) heddle_put_byte(&b, 'a');
    heddle_put(&b, S("\"}"));
    while (heddle_emit(e, S("conv:1"), S("order:filled"), heddle_text(&b)) == HEDDLE_OK) {}
}

static void emit(heddle_event_t *e) {
    heddle_emit_with(e, S("conv:1"), S("order:created"), S("{\"id\":1}"), (heddle_emit_options){.durable = true});
    heddle_emit_with(e, S("user:ann"), S("order:told"), S("{\"id\":1}"), (heddle_emit_options){.device = S("phone")});
}

static void timer(heddle_event_t *e) {
    heddle_set_timer(e, S("remind"), 60000, S("{\"n\":1}"));
    heddle_cancel_timer(e, S("old"));
}

void heddle_event(heddle_event_t *e) {
    if (heddle_on_hook(e, HEDDLE_CONNECT) || heddle_on_hook(e, HEDDLE_JOIN) || heddle_on_hook(e, HEDDLE_REQUEST)) echo(e);
    else if (heddle_on_hook(e, HEDDLE_TIMER)) heddle_set_attr(e, S("seen"), S("\"timer\""));
    else if (heddle_on_hook(e, HEDDLE_RESPONSE)) heddle_set_attr(e, S("seen"), S("\"response\""));
    else if (heddle_on(e, S("case:pass"))) heddle_pass(e);
    else if (heddle_on(e, S("case:nothing"))) {}
    else if (heddle_on(e, S("case:forbid"))) heddle_forbid(e, S("not here"));
    else if (heddle_on(e, S("case:invalid"))) heddle_invalid(e, S("data.text: too long"));
    else if (heddle_on(e, S("case:rate"))) heddle_rate_limit(e, S("slow down"), 1500);
    else if (heddle_on(e, S("case:silent"))) heddle_drop_silently(e);
    else if (heddle_on(e, S("case:replace"))) replace(e);
    else if (heddle_on(e, S("case:set_attr"))) heddle_set_attr(e, S("lang"), S("\"fr\""));
    else if (heddle_on(e, S("case:emit"))) emit(e);
    else if (heddle_on(e, S("case:route"))) heddle_route(e, S("conv:2"));
    else if (heddle_on(e, S("case:reply"))) heddle_reply(e, S("{\"ok\":true}"));
    else if (heddle_on(e, S("case:respond"))) heddle_respond(e, 201, S("text/plain"), S("made"));
    else if (heddle_on(e, S("case:http")))
        heddle_http(e, S("POST"), S("https://api.example.com/x?y=1"), S("content-type: application/json\nx-a: b"), S("{\"q\":\"ü\"}"), S("tag-1"), 2500);
    else if (heddle_on(e, S("case:timer"))) timer(e);
    else if (heddle_on(e, S("case:echo"))) echo(e);
    else if (heddle_on(e, S("case:attr"))) attributes(e);
    else if (heddle_on(e, S("case:payload"))) payload(e);
    else if (heddle_on(e, S("case:kv"))) kv(e);
    else if (heddle_on(e, S("case:host"))) host(e);
    else if (heddle_on(e, S("case:lookup"))) lookup(e);
    else if (heddle_on(e, S("case:fill"))) fill(e);
    else if (heddle_on(e, S("case:fail"))) heddle_fail(S("told why"));
    else if (heddle_on(e, S("case:trap"))) __builtin_trap();
}
