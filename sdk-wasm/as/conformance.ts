// The guest of the conformance suite: what it does is the action of each event.

import {
  Attribute, AttrType, Codec, config, count, decides, Event, gauge, Hook, hookName, json, kv, log, lookup, now, observe, on, onHook,
  random, secret, Status, statusName, Value,
} from "@heddle-rt/plugin";
export * from "@heddle-rt/plugin/exports";

on("case:pass", (e) => {
  e.pass();
});
on("case:nothing", (_) => {});
on("case:forbid", (e) => {
  e.forbid("not here");
});
on("case:invalid", (e) => {
  e.invalid("data.text: too long");
});
on("case:rate", (e) => {
  e.rateLimit("slow down", 1500);
});
on("case:silent", (e) => {
  e.dropSilently();
});
on("case:replace", (e) => {
  e.replace('{"was":' + e.payload.toString() + "}");
});
on("case:set_attr", (e) => {
  e.setAttr("lang", '"fr"');
});
on("case:emit", (e) => {
  e.emit("conv:1", "order:created", '{"id":1}', true);
  e.emit("user:ann", "order:told", '{"id":1}', false, "phone");
});
on("case:route", (e) => {
  e.route("conv:2");
});
on("case:reply", (e) => {
  e.reply('{"ok":true}');
});
on("case:respond", (e) => {
  e.respond(201, "text/plain", "made");
});
on("case:http", (e) => {
  e.http("POST", "https://api.example.com/x?y=1", "content-type: application/json\nx-a: b", '{"q":"ü"}', "tag-1", 2500);
});
on("case:timer", (e) => {
  e.setTimer("remind", 60000, '{"n":1}');
  e.cancelTimer("old");
});
on("case:echo", echo);
on("case:attr", (e) => {
  e.reply(
    '{"bool":' + e.bool("b").toString() + ',"int":' + e.int("i").toString() + ',"float":' + bits(e.float("f")) +
      ',"text":' + json.quote(e.text("t")) + ',"missing":' + (!e.has("nope")).toString() + "}",
  );
});
on("case:payload", (e) => {
  const piece = new Uint8Array(100);
  let hash: u64 = 0xcbf29ce484222325;
  let size = 0;
  for (;;) {
    const n = e.payloadFrom(size, piece);
    if (n <= 0) break;
    for (let i = 0; i < n; i++) hash = (hash ^ piece[i]) * 0x100000001b3;
    size += n;
  }
  e.reply('{"size":' + size.toString() + ',"fnv":"' + hexadecimal(hash) + '"}');
});
on("case:kv", (e) => {
  kv.put("k", "v");
  const got = kv.get("k").text;
  const swapped = statusName(kv.swap("k", "v", "w"));
  const again = statusName(kv.swap("k", "v", "x"));
  kv.add("n", 5);
  const sum = kv.add("n", -2).value;
  kv.delete("k");
  const gone = statusName(kv.get("k").status);
  e.reply(
    '{"get":' + json.quote(got) + ',"swap":"' + swapped + '","again":"' + again + '","sum":' + sum.toString() + ',"gone":"' + gone + '"}',
  );
});
on("case:host", (e) => {
  const bytes = new Uint8Array(16);
  const drawn = random(bytes) == Status.OK && bytes.some((b) => b != 0);
  log.debug("debug line");
  log.info("info line");
  log.warn("warn line");
  log.error("error line");
  count("hits", 2);
  gauge("level", 0.5);
  observe("took", 0.25);
  e.reply(
    '{"now":' + (now() > 0).toString() + ',"random":' + drawn.toString() + ',"config":' + config() +
      ',"secret":' + json.quote(secret("token").text) + "}",
  );
});
on("case:lookup", (e) => {
  e.reply(
    '{"room":' + told(lookup.room("conv:1")) + ',"member":' + told(lookup.member("conv:1", "ann")) +
      ',"presence":' + told(lookup.presence("ann")) + ',"members":' + told(lookup.members("conv:1")) + "}",
  );
});
on("case:fill", (e) => {
  const payload = '{"x":"' + "a".repeat(992) + '"}';
  while (e.emit("conv:1", "order:filled", payload) == Status.OK) {}
});
on("case:fail", (e) => {
  e.fail("told why");
});
on("case:trap", (_) => {
  throw new Error("as asked for");
});

onHook(Hook.Connect, seen);
onHook(Hook.Join, seen);
onHook(Hook.Timer, seen);
onHook(Hook.Response, seen);
onHook(Hook.Request, seen);

function seen(e: Event): void {
  if (decides(e.hook)) echo(e);
  else e.setAttr("seen", '"' + hookName(e.hook) + '"');
}

function echo(e: Event): void {
  const attrs: string[] = [];
  for (let i = 0; i < e.attributes; i++) attrs.push(described(e.attribute(i)));
  e.reply(
    '{"hook":"' + hookName(e.hook) + '","tenant":' + json.quote(e.tenant) + ',"user":' + json.quote(e.user) +
      ',"device":' + json.quote(e.device) + ',"room":' + json.quote(e.room) + ',"action":' + json.quote(e.action) +
      ',"id":' + json.quote(e.id) + ',"time":' + e.time.toString() + ',"sequence":' + e.sequence.toString() +
      ',"connection":' + e.connection.toString() + ',"attempt":' + e.attempt.toString() + ',"durable":' + e.durable.toString() +
      ',"server":' + e.server.toString() + ',"prefix":' + e.prefix.toString() + ',"codec":"' + codecName(e.codec) +
      '","payload_size":' + e.payloadSize.toString() + ',"attrs":[' + attrs.join(",") + "]}",
  );
}

function described(a: Attribute): string {
  let type = "none";
  let value = "null";
  switch (a.type) {
    case AttrType.Bool:
      type = "bool";
      value = a.bool.toString();
      break;
    case AttrType.Int:
      type = "int";
      value = a.int.toString();
      break;
    case AttrType.Float:
      type = "float";
      value = bits(a.float);
      break;
    case AttrType.Text:
      type = "text";
      value = json.quote(a.text);
      break;
    case AttrType.JSON:
      type = "json";
      value = a.json;
      break;
  }
  return '{"name":' + json.quote(a.name) + ',"type":"' + type + '","value":' + value + "}";
}

function codecName(c: Codec): string {
  return c == Codec.JSON ? "json" : c == Codec.Bytes ? "bytes" : "none";
}

function bits(f: f64): string {
  return '"0x' + hexadecimal(reinterpret<u64>(f)) + '"';
}

function hexadecimal(n: u64): string {
  return n.toString(16).padStart(16, "0");
}

function told(v: Value): string {
  return v.ok ? v.text : '"' + statusName(v.status) + '"';
}
