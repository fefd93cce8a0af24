// What is particular to AssemblyScript, for the tests: each action tries one thing.

import { arenas, Bytes, fail, Field, json, kv, log, on, start } from "@heddle-rt/plugin";
export * from "@heddle-rt/plugin/exports";

arenas(64 << 10, 16 << 10);

const kept = new Array<string>(16).fill("");
let count: u32 = 0;
let greeting = "";

start((config) => {
  if (json.bool(Bytes.of(config), "refuse")) fail("the config refuses: " + config);
  greeting = "hello " + json.text(Bytes.of(config), "name", "nobody");
});

on("greet", (e) => {
  e.reply(json.quote(greeting));
});
// Some hundred bytes of garbage, and a string that lives as long as 16 events.
on("garbage", (e) => {
  const text = e.payload.toString();
  kept[<i32>(count++ & 15)] = e.user + ":" + text;
  e.setAttr("was", kv.get(e.user).text.length.toString());
});
// More garbage in one event than the memory may have.
on("heap", (e) => {
  const piece = e.payload.toString();
  let longest = "";
  for (let i = 0; i < 4000; i++) {
    const s = piece + i.toString();
    if (s.length > longest.length) longest = s;
  }
  e.setAttr("longest", longest.length.toString());
});
on("same", (e) => {
  const said: string[] = [];
  const text = e.text("t");
  said.push(e.find("t")!.equals("naïve 漢 🙂") ? "equal" : "not");
  said.push(e.find("t")!.equals("naïve 漢 🙃") ? "equal" : "not");
  said.push(e.find("t")!.bytes.startsWith("naïve 漢") ? "begins" : "not");
  said.push(e.find("t")!.bytes.indexOf("漢").toString());
  said.push(text == "naïve 漢 🙂" ? "decoded" : "not");
  said.push(e.isAction("same") && !e.isAction("sam") && !e.isAction("same!") && !e.isAction("") ? "action" : "not");
  said.push(e.view(Field.User).startsWith("a") && e.isUser("ann") && e.is(Field.Device, "") ? "user" : "not");
  said.push(e.payload.slice(1, 3).toString() + e.payload.slice(5, 2).toString());
  e.reply(json.quote(said.join(",")));
});
on("json", (e) => {
  const p = e.payload;
  const data = json.find(p, "data");
  const d = data ? data : p;
  const items = json.find(d, "list");
  const all = items ? json.items(items) : [];
  e.reply(
    "[" +
      [
        json.quote(json.text(d, "text", "none")),
        json.number(d, "float", -1).toString(),
        json.int(d, "int", -1).toString(),
        json.bool(d, "yes").toString(),
        json.quote(json.text(d, 'k"ey', "none")),
        all.length.toString(),
        all.length ? json.quote(all[all.length - 1].toString()) : '""',
      ].join(",") +
      "]",
  );
});
on("quote", (e) => {
  e.reply(json.quote(json.unquote(e.payload)));
});
on("random", (e) => {
  e.reply(Math.random().toString());
});
on("console", (e) => {
  console.log("said by " + e.user);
  trace("traced", 2, 1, 2.5);
});
on("index", (e) => {
  const list = [1, 2, 3];
  e.setAttr("never", list[<i32>e.int("i", 5)].toString());
});
on("throw", (_) => {
  throw new Error("é" + "long ".repeat(1000));
});
on("deep", (e) => {
  e.setAttr("depth", deep(e.user, 0).length.toString());
});
on("big", (e) => {
  const st = e.emit("conv:1", "a:b", new Uint8Array(20000));
  const after = e.emit("conv:1", "a:b", e.payload);
  log.info("it was " + st.toString() + " and " + after.toString());
});

function deep(s: string, n: i32): string {
  return n < 0 ? s : deep(s + "x", n + 1) + s;
}
