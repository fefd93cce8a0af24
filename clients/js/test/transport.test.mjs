// Transports against a real node, through a proxy that breaks WebSockets in various ways.
import assert from "node:assert/strict";
import { test } from "node:test";
import { msgpack } from "./.out/msgpack.js";
import { chatting, connected, couple, next, on, Storage, world } from "./real/world.mjs";

test("a conversation over long-polling alone", async (t) => {
  const all = await couple(t, { transports: ["polling"] });
  if (!all) return;
  const { ann, bob, room, proxy } = all;
  const text = "umlauts äöü, emoji 🧵, and \u001e between";
  const heard = next(bob, "message", (m) => m.payload.action === "message:send");
  assert.equal((await ann.send(room, { text })).offset, 2);
  assert.equal((await heard).payload.data.text, text);
  assert.equal((await bob.room.history(room)).events.length, 2);
  assert.deepEqual((await ann.devices()).map((d) => d.transport), ["polling"]);
  assert.ok((await ann.ping()) >= 0);
  await assert.rejects(ann.send(room, { text: "x".repeat(70_000) }), { code: "frame_too_large" });
  assert.equal(proxy.tried, 0);
});

test("a session that polls and is idle stays, for it answers pings", async (t) => {
  const all = await world(t);
  if (!all) return;
  const { make, proxy } = all;
  const ann = await make("ann", { transports: ["polling"] });
  await connected(ann);
  const { requests } = proxy;
  const { length } = ann.states;
  // Each ping is a GET and a POST.
  for (const deadline = Date.now() + 20_000; proxy.requests < requests + 6 && Date.now() < deadline; ) await new Promise((done) => setTimeout(done, 50));
  assert.ok(proxy.requests >= requests + 6);
  assert.equal(ann.states.length, length);
});

test("what waits leaves in as few requests as it needs", async (t) => {
  const all = await couple(t, { transports: ["polling"] });
  if (!all) return;
  const { ann, proxy, room } = all;
  const before = proxy.requests;
  const acks = await Promise.all(Array.from({ length: 300 }, (_, i) => ann.send(room, { text: `${i}` })));
  assert.deepEqual(acks.map((ack) => ack.offset), acks.map((_, i) => i + 2));
  assert.ok(proxy.requests - before < 150, `${proxy.requests - before} requests for 300 messages`);
});

test("without any WebSocket class there is polling", async (t) => {
  const all = await world(t);
  if (!all) return;
  if (globalThis.WebSocket) t.mock.property?.(globalThis, "WebSocket", undefined);
  const ann = await all.make("ann", { WebSocket: undefined, transports: globalThis.WebSocket ? ["polling"] : undefined });
  await connected(ann);
  assert.equal(ann.transport, "polling");
});

test("a token that is refused over polling is asked for again", async (t) => {
  const all = await world(t);
  if (!all) return;
  const tokens = ["no token", await all.node.token("ann")];
  const ann = await all.make("ann", { transports: ["polling"], token: undefined, getToken: () => tokens.shift() });
  assert.equal((await connected(ann)).user, "ann");
  const bob = await all.make("bob", { transports: ["polling"], token: "no token" });
  const error = next(bob, "error");
  bob.connect();
  assert.equal((await error).code, "unauthenticated");
  assert.equal(bob.state, "closed");
});

for (const mode of ["refuse", "hang", "swallow", "swallow-up", "swallow-down"]) {
  test(`behind a proxy that does this to WebSockets, the client polls: ${mode}`, async (t) => {
    const all = await world(t);
    if (!all) return;
    const { make, proxy } = all;
    proxy.mode = mode;
    const storage = new Storage();
    const first = await make("ann", { storage });
    await connected(first);
    assert.equal(first.transport, "polling");
    const tried = proxy.tried;
    const second = await make("ann", { storage });
    await connected(second);
    assert.deepEqual(second.states.filter((s) => s !== "syncing"), ["connecting", "active"], "it is remembered: no WebSocket is tried first");
    assert.ok(tried >= 1);
    const third = await make("ann", { storage: undefined });
    await connected(third);
    assert.equal(third.transport, "polling");
  });
}

for (const mode of ["swallow", "swallow-up", "swallow-down", "hang", "refuse", "mute"]) {
  test(`attempts to leave polling disturb nothing where they fail: ${mode}`, async (t) => {
    const all = await couple(t, { storage: new Storage([]), transports: ["polling", "websocket"], upgradePause: 3600_000 });
    if (!all) return;
    // Both are on WebSockets by now or soon: cut them, and let none pass any more.
    const { ann, bob, proxy } = all;
    await Promise.all([on(ann, "websocket"), on(bob, "websocket")]);
    proxy.mode = mode;
    proxy.cut();
    const tried = proxy.tried;
    await Promise.all([on(ann, "polling"), on(bob, "polling")]);
    await chatting(all, async () => {
      for (const deadline = Date.now() + 10_000; proxy.tried < tried + 2 && Date.now() < deadline; ) await ann.ping({ retries: 9 });
      const until = Date.now() + 1200;
      while (Date.now() < until) await ann.ping({ retries: 9 });
    });
    assert.ok(proxy.tried > tried);
    assert.deepEqual([ann.transport, bob.transport], ["polling", "polling"]);
  });
}

test("a session moves from polling to a WebSocket without a gap, while both chat", async (t) => {
  const all = await couple(t, { storage: new Storage([]), upgradePause: 300 });
  if (!all) return;
  const { ann, bob, proxy } = all;
  proxy.mode = "refuse";
  proxy.cut();
  await Promise.all([on(ann, "polling"), on(bob, "polling")]);
  const before = [ann, bob].map((client) => [client.states.length, client.session.session]);
  const ready = [];
  for (const client of [ann, bob]) for (const name of ["ready", "resumed", "close", "lost"]) client.on(name, () => ready.push(name));
  const pings = [];
  const n = await chatting(all, async () => {
    const heard = (n) => (ann.got.length >= n ? undefined : next(ann, "message", () => ann.got.length >= n));
    await heard(10);
    proxy.mode = "pass";
    let moving = true;
    const moved = Promise.all([on(ann, "websocket"), on(bob, "websocket")]).then(() => (moving = false));
    while (moving) pings.push(await ann.ping({ retries: 0 })); // may not be sent again: would fail with a lost connection
    await moved;
    await heard(ann.got.length + 10);
  });
  assert.ok(n > 20 && pings.length > 0, `${n} messages, ${pings.length} pings`);
  assert.deepEqual([ann.transport, bob.transport], ["websocket", "websocket"]);
  assert.deepEqual([ann, bob].map((client) => [client.states.length, client.session.session]), before, "the state is the same all the while, and the session");
  assert.deepEqual(ready, []);
});

test("both directions stay whole while the transport changes again and again", async (t) => {
  const all = await couple(t, { storage: new Storage([]), upgradePause: 50 });
  if (!all) return;
  const { ann, bob, proxy } = all;
  const changes = [];
  for (const client of [ann, bob]) client.on("transport", ({ transport }) => changes.push(transport));
  await chatting(all, async () => {
    for (const mode of ["refuse", "pass", "swallow", "pass", "hang", "pass", "mute", "pass"]) {
      proxy.mode = mode;
      const want = mode === "pass" ? "websocket" : "polling";
      if (mode !== "pass") proxy.cut();
      await Promise.all([on(ann, want), on(bob, want)]);
    }
  });
  assert.ok(changes.length >= 16, changes.join());
});

test("a proxy that kills WebSockets after a while is found out, and nothing is lost", async (t) => {
  const all = await couple(t, { storage: new Storage([]), upgradePause: 3600_000 });
  if (!all) return;
  const { ann, bob, proxy } = all;
  proxy.mode = "kill";
  proxy.cut(false);
  await chatting(all, () => Promise.all([on(ann, "polling"), on(bob, "polling")]));
  const { tried } = proxy;
  for (let i = 0; i < 20; i++) await ann.ping();
  assert.equal(proxy.tried, tried, "the next try is far away");
});

test("a session that polls outlives the death of its node", async (t) => {
  const all = await couple(t, { transports: ["polling"] });
  if (!all) return;
  const { ann, bob, node } = all;
  await chatting(all, async () => {
    // What a session has joined in the last 20 ms is not written down when the node dies: by what
    // it has heard, a client tells that it is in the room.
    await Promise.all([ann, bob].map((client) => client.got.length > 0 || next(client, "message", () => client.got.length > 0)));
    const waits = next(ann, "state", ({ state }) => state === "waiting");
    await node.kill();
    await waits;
    const back = next(ann, "state", ({ state }) => state === "active");
    await node.run();
    await back;
  });
});

test("polls that are cut again and again lose and repeat nothing", async (t) => {
  const all = await couple(t, { transports: ["polling"] });
  if (!all) return;
  const { ann, proxy } = all;
  await chatting(all, async () => {
    for (let i = 0; i < 8; i++) {
      await ann.ping({ retries: 9 });
      proxy.cut();
    }
  });
});

test("a session that somebody else resumes is given up", async (t) => {
  const all = await world(t);
  if (!all) return;
  const { make, proxy } = all;
  for (const transport of ["websocket", "polling"]) {
    const ann = await make("ann", { transports: [transport] });
    await connected(ann);
    const thief = await make("ann", { transports: [transport] });
    const { session, resume_token } = ann.session;
    const closed = next(ann, "close");
    const token = await all.node.token(ann.user);
    const base = `http://127.0.0.1:${proxy.port}/v1/poll/?EIO=4&transport=polling`;
    const { sid } = JSON.parse((await (await fetch(base)).text()).slice(1));
    const data = { token, session, resume_token, positions: {} };
    await fetch(`${base}&sid=${sid}`, { method: "POST", body: `4${JSON.stringify({ type: "event", id: "r", payload: { action: "session:resume", data } })}` });
    const { code, action } = await closed;
    assert.deepEqual([code, action, ann.state], [4406, "stop", "closed"]);
    assert.ok(thief);
  }
});

test("MessagePack over WebSockets, JSON over polling, and both in one session", async (t) => {
  const all = await couple(t, { codec: msgpack, storage: new Storage([]), upgradePause: 100 });
  if (!all) return;
  const { ann, bob, room, proxy } = all;
  assert.deepEqual([ann.transport, bob.transport], ["websocket", "websocket"]);
  const body = { int: [0, 127, 128, 255, 256, 65_535, 65_536, 2 ** 32, 2 ** 53 - 1, -1, -32, -33, -128, -129, -32_769, -(2 ** 31) - 1, -(2 ** 53) + 1],
    float: [0.5, -1.25, 1e300], text: ["", "x".repeat(300), "ä".repeat(20), "🧵"], nested: { a: { b: [null, true, false] } }, long: Array.from({ length: 40 }, (_, i) => i) };
  const heard = next(bob, "message", (m) => m.payload.action === "message:send");
  await ann.send(room, { body });
  assert.deepEqual((await heard).payload.data.body, body);
  assert.deepEqual((await bob.room.history(room)).events.at(-1).payload.data.body, body);
  ann.got.shift();
  bob.got.shift();
  await Promise.all(Array.from({ length: 100 }, () => ann.ping())); // a batch
  proxy.mode = "refuse";
  proxy.cut();
  await Promise.all([on(ann, "polling"), on(bob, "polling")]);
  proxy.mode = "pass";
  await Promise.all([on(ann, "websocket"), on(bob, "websocket")]);
  const again = next(bob, "message", (m) => m.payload.data.body?.n === 1);
  await ann.send(room, { body: { n: 1 } });
  await again;
});
