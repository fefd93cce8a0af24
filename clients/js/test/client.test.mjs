import assert from "node:assert/strict";
import { test } from "node:test";
import { connected, next, pair, reached, setup } from "./fake/harness.mjs";
import { FakeServer } from "./fake/server.mjs";
import { Fault } from "./fake/store.mjs";

const texts = (client) => {
  const list = [];
  client.on("message", (m) => m.payload.action === "message:send" && list.push(m.payload.data.text));
  return list;
};

test("create, send, receive, read, members, history, leave", async (t) => {
  const { ann, bob } = await pair(t);
  const got = texts(bob);
  const ack = await ann.send("conv:1", { text: "hello", meta: { n: 1 } });
  assert.equal(ack.offset, 2);
  await reached(bob, "conv:1", 2);
  assert.deepEqual(got, ["hello"]);
  const seen = next(ann, "event", (e) => e.payload.action === "message:read");
  assert.deepEqual((await bob.read("conv:1", 2)).data, { unread: 0, offset: 2 });
  assert.deepEqual((await seen).from, { user: "bob", device: "web" });
  const { members } = await bob.room.members("conv:1");
  assert.deepEqual(members.map((m) => [m.user, m.role]), [["ann", "owner"], ["bob", "member"]]);
  const page = await bob.room.history("conv:1", { limit: 1 });
  assert.deepEqual([page.events.length, page.events[0].offset, page.more], [1, 2, true]);
  await bob.room.leave("conv:1");
  assert.equal(bob.position("conv:1"), undefined);
  await assert.rejects(bob.send("conv:1", { text: "x" }), { code: "forbidden", field: "room", retryable: false });
});

test("listeners of an action hear what is stored and what is not, behind the others", async (t) => {
  const { ann, bob } = await pair(t);
  const heard = [];
  bob.on("message", () => heard.push("message"));
  bob.on("event", () => heard.push("event"));
  const off = bob.on("message:send", ({ type, payload, offset }) => heard.push([type, payload.data.text, offset]));
  await ann.send("conv:1", { text: "a" });
  await reached(bob, "conv:1", 2);
  const live = next(bob, "event");
  await ann.send("conv:1", { text: "b", ephemeral: true });
  await live;
  await bob.ping();
  off();
  await ann.send("conv:1", { text: "c" });
  await reached(bob, "conv:1", 3);
  assert.deepEqual(heard, ["message", ["message", "a", 2], "event", ["event", "b", undefined], "message"]);
});

test("namespaces are asked for in every session, and notifications come", async (t) => {
  const { server, make } = await setup(t);
  const namespaces = ["/notification"];
  const ann = make("ann", { namespaces });
  const { rooms } = await connected(ann);
  assert.deepEqual(rooms.map((r) => r.room), ["user:ann/notification"]);
  const told = next(ann, "event", (e) => e.payload.action === "notification:new");
  const data = { room: "conv:1", epoch: "e", offset: 7, id: "x", from: "bob", reason: "mention", text: "hi", devices: ["web"], unread: 1 };
  server.publish({ v: 1, type: "event", room: "user:ann/notification", timestamp: 1, payload: { action: "notification:new", data } });
  assert.deepEqual((await told).payload.data, data);
  server.records.clear();
  ann.drop();
  await next(ann, "ready");
  const openings = server.frames.flat().filter((e) => e.payload?.action.startsWith("session:"));
  assert.deepEqual(openings.map((e) => [e.payload.action, e.payload.data.namespaces]), [["session:open", namespaces], ["session:resume", namespaces]]);
  assert.equal(server.frames[0][0].payload.data.rooms.length, 0);
});

test("a browser that is online again, or looked at again, does not wait", async (t) => {
  const page = Object.assign(new EventTarget(), { visibilityState: "hidden" });
  const network = new EventTarget();
  Object.assign(globalThis, {
    document: page, addEventListener: network.addEventListener.bind(network), removeEventListener: network.removeEventListener.bind(network),
  });
  t.after(() => {
    for (const name of ["document", "addEventListener", "removeEventListener"]) delete globalThis[name];
  });
  t.mock.method(Math, "random", () => 1);
  const { make } = await setup(t);
  const ann = make("ann", { backoffBase: 600_000, backoffCap: 600_000 });
  await connected(ann);
  for (const wake of [
    () => network.dispatchEvent(new Event("online")),
    () => {
      page.dispatchEvent(new Event("visibilitychange"));
      assert.equal(ann.state, "waiting", "nobody looks at a hidden page");
      page.visibilityState = "visible";
      page.dispatchEvent(new Event("visibilitychange"));
    },
  ]) {
    ann.drop();
    assert.equal(ann.state, "waiting");
    const resumed = next(ann, "resumed");
    wake();
    await resumed;
  }
  ann.drop();
  await ann.close();
  network.dispatchEvent(new Event("online"));
  assert.equal(ann.state, "closed", "nothing is listened to any more");
});

test("states of a life", async (t) => {
  const { make } = await setup(t);
  const ann = make("ann");
  const states = [];
  ann.on("state", ({ state }) => states.push(state));
  await connected(ann);
  ann.drop();
  await next(ann, "resumed");
  await ann.close();
  assert.deepEqual(states, ["connecting", "syncing", "active", "waiting", "connecting", "syncing", "active", "closed"]);
});

test("envelopes of one tick share a frame, at most 64 of them", async (t) => {
  const { server, ann } = await pair(t);
  server.frames.length = 0;
  await Promise.all(Array.from({ length: 100 }, (_, i) => ann.send("conv:1", { text: String(i) })));
  assert.deepEqual(server.frames.map((f) => f.length), [64, 36]);
  assert.ok(await ann.send("conv:1", { text: "x".repeat(8000) }));
  await assert.rejects(ann.send("conv:1", { text: "x".repeat(70_000) }), { code: "frame_too_large" });
});

test("missed messages follow a resume, once and in order", async (t) => {
  const { ann, bob } = await pair(t);
  const got = texts(bob);
  bob.goOffline();
  assert.equal(bob.state, "waiting");
  for (let i = 0; i < 20; i++) await ann.send("conv:1", { text: String(i) });
  const resumed = next(bob, "resumed");
  bob.goOnline();
  assert.equal((await resumed).missed, 20);
  await reached(bob, "conv:1", 21);
  assert.deepEqual(got, Array.from({ length: 20 }, (_, i) => String(i)));
});

test("requests made offline wait and are sent in order", async (t) => {
  const { ann, bob } = await pair(t);
  const got = texts(bob);
  ann.goOffline();
  const sent = ["a", "b", "c"].map((text) => ann.send("conv:1", { text }));
  assert.equal(ann.pending, 3);
  ann.goOnline();
  assert.deepEqual((await Promise.all(sent)).map((a) => a.offset), [2, 3, 4]);
  await reached(bob, "conv:1", 4);
  assert.deepEqual(got, ["a", "b", "c"]);
});

test("a send whose ack was lost is stored once", async (t) => {
  const { server, ann } = await pair(t);
  server.muteAcks = (e) => e.payload.action === "message:send";
  const sent = ann.send("conv:1", { text: "once" });
  await reached(ann, "conv:1", 2);
  server.muteAcks = undefined;
  ann.drop();
  const ack = await sent;
  assert.deepEqual([ack.offset, ack.data.repeat], [2, true]);
  assert.equal((await ann.room.history("conv:1")).events.length, 2);
});

test("an overdue ack is asked for again under the same id", async (t) => {
  const { server, ann } = await pair(t);
  let muted = 1;
  server.muteAcks = (e) => e.payload.action === "message:send" && muted-- > 0;
  const ack = await ann.send("conv:1", { text: "x" }, { timeout: 30 });
  assert.deepEqual([ack.offset, ack.data.repeat], [2, true]);
});

test("retryable errors are retried", async (t) => {
  const { server, ann } = await pair(t);
  let refusals = 2;
  server.intercept = (e) =>
    e.payload.action === "message:send" && refusals-- > 0 ? new Fault("rate_limited", "slow down", { retryable: true, retry_after_ms: 5 }) : undefined;
  assert.equal((await ann.send("conv:1", { text: "x" })).offset, 2);
  assert.equal(refusals, -1);
});

test("repeats, wrong order and gaps do not reach the listener", async (t) => {
  const { server, ann, bob } = await pair(t);
  const got = texts(bob);
  const held = [];
  server.alter = (e, s) => {
    if (s.user !== "bob") return [e];
    if (e.offset === 3) return []; // only history has it
    if (e.offset === 5) return void held.push(e) ?? [];
    if (e.offset === 6) return [e, ...held, e];
    return [e, e];
  };
  for (const text of ["2", "3", "4", "5", "6"]) await ann.send("conv:1", { text });
  await reached(bob, "conv:1", 6);
  assert.deepEqual(got, ["2", "3", "4", "5", "6"]);
});

test("an unknown session opens anew and catches up from history", async (t) => {
  const { server, ann, bob } = await pair(t);
  await bob.room.join("channel:news");
  const got = texts(bob);
  bob.goOffline();
  await ann.room.join("channel:news");
  for (const text of ["1", "2", "3"]) await ann.send("conv:1", { text });
  await ann.send("channel:news", { text: "n" });
  server.records.clear();
  const ready = next(bob, "ready");
  bob.goOnline();
  assert.equal((await ready).reason, "session_unknown");
  await Promise.all([reached(bob, "conv:1", 4), reached(bob, "channel:news", 1)]);
  assert.deepEqual(got.sort(), ["1", "2", "3", "n"]);
});

test("too far behind is told as lost", async (t) => {
  const { server, make } = await setup(t);
  const ann = make("ann", { catchUp: 2 });
  const other = make("ann");
  await Promise.all([connected(ann), connected(other)]);
  await other.room.create("conv:1");
  await reached(ann, "conv:1", 1);
  ann.goOffline();
  for (let i = 0; i < 3; i++) await other.send("conv:1", { text: "x" });
  server.records.clear();
  const lost = next(ann, "lost");
  ann.goOnline();
  const { reason, from, to } = await lost;
  assert.deepEqual([reason, from.offset, to.offset], ["too_far", 1, 4]);
  assert.equal(ann.position("conv:1").offset, 4);
});

test("acks are cumulative and gathered", async (t) => {
  const { server, make } = await setup(t);
  const ann = make("ann", { acks: true });
  await connected(ann);
  await ann.room.create("conv:1");
  server.frames.length = 0;
  const texts = Array.from({ length: 20 }, (_, i) => String(i));
  await Promise.all(texts.map((text) => ann.send("conv:1", { text })));
  const { epoch } = ann.position("conv:1");
  const acks = server.frames.flat().filter((e) => e.type === "ack");
  while (acks.at(-1)?.offset !== 21) acks.push(await server.nextAck());
  assert.deepEqual(acks.at(-1), { type: "ack", room: "conv:1", epoch, offset: 21 });
  assert.ok(acks.length <= 5, `${acks.length} acks`);
});

test("a token that never comes does not hang the client", async (t) => {
  const { make } = await setup(t);
  let calls = 0;
  const getToken = () => (calls++ === 0 ? new Promise(() => {}) : "dev-ann");
  await connected(make("ann", { token: undefined, getToken, handshakeTimeout: 100 }));
  assert.ok(calls >= 2); // and more on a machine that shakes hands slowly
});

test("a member of a lasting room who was removed does not join it again", async (t) => {
  const { server, ann, bob } = await pair(t);
  await bob.room.leave("conv:1");
  await bob.room.join("conv:1");
  bob.goOffline();
  server.records.clear();
  server.store.room("conv:1").members.delete("bob");
  const lost = next(bob, "lost");
  bob.goOnline();
  assert.deepEqual([(await lost).room, (await lost).reason], ["conv:1", "left"]);
  assert.deepEqual((await ann.room.members("conv:1")).members.map((m) => m.user), ["ann"]);
});

test("history that begins too late is told as lost; what expired inside it is not", async (t) => {
  const { server, ann, bob } = await pair(t);
  const got = texts(bob);
  const lost = [];
  bob.on("lost", ({ reason, from, to }) => lost.push([reason, from.offset, to.offset]));
  bob.goOffline();
  for (const text of ["2", "3", "4", "5", "6"]) await ann.send("conv:1", { text });
  server.records.clear();
  const history = server.store.history.bind(server.store);
  server.store.history = (name, query) => {
    const page = history(name, query);
    return { ...page, events: page.events.filter((e) => e.offset === 4 || e.offset === 6) };
  };
  bob.goOnline();
  await reached(bob, "conv:1", 6);
  assert.deepEqual(got, ["4", "6"]);
  assert.deepEqual(lost, [["not_kept", 1, 3]]);
});

test("a resume that the server refuses becomes a new session", async (t) => {
  const { server, make } = await setup(t);
  const ann = make("ann");
  const { session } = await connected(ann);
  for (const code of ["session_lost", "invalid"]) {
    server.intercept = (e) => (e.payload.action === "session:resume" ? new Fault(code) : undefined);
    ann.drop();
    assert.notEqual((await next(ann, "ready")).session, session);
  }
});

test("drain: reconnects when told, not before, and resumes", async (t) => {
  const { server, make } = await setup(t);
  const ann = make("ann");
  await connected(ann);
  const begin = performance.now();
  server.of("ann").send({ type: "event", payload: { action: "session:drain", data: { reconnect_in_ms: 80 } } });
  await next(ann, "state", (s) => s.state === "draining");
  server.of("ann").socket.close(4000, "draining");
  await next(ann, "resumed");
  assert.ok(performance.now() - begin >= 75);
});

test("an expired token is replaced once; a static one closes the client", async (t) => {
  const { server, make } = await setup(t);
  const tokens = ["dev-ann", "dev-ann"];
  let calls = 0;
  const ann = make("ann", { token: undefined, getToken: async () => tokens[calls++] });
  await connected(ann);
  assert.equal(calls, 1);
  server.of("ann").socket.close(4402, "token_expired");
  await next(ann, "resumed");
  assert.equal(calls, 2);
  const bob = make("bob");
  await connected(bob);
  server.of("bob").socket.close(4402, "token_expired");
  const error = await next(bob, "error");
  assert.deepEqual([error.code, error.closeCode, bob.state], ["token_expired", 4402, "closed"]);
  await assert.rejects(bob.ping(), { code: "closed" });
});

test("a refused handshake asks for a fresh token", async (t) => {
  const { make } = await setup(t);
  const tokens = ["stale", "dev-ann"];
  let calls = 0;
  await connected(make("ann", { token: undefined, getToken: () => tokens[calls++] }));
  assert.equal(calls, 2);
});

test("a session that is gone is opened anew", async (t) => {
  const { server, make } = await setup(t);
  const ann = make("ann");
  const { session } = await connected(ann);
  server.of("ann").socket.close(4100, "session_lost");
  assert.notEqual((await next(ann, "ready")).session, session);
});

test("a code that asks for a change stops the client", async (t) => {
  const { server, make } = await setup(t);
  const ann = make("ann");
  await connected(ann);
  server.of("ann").socket.close(4406, "session_replaced: elsewhere");
  assert.equal((await next(ann, "error")).code, "session_replaced");
  assert.equal(ann.state, "closed");
});

test("a silent server is left", async (t) => {
  const { server, make } = await setup(t);
  server.heartbeatMs = 20;
  const ann = make("ann", { probeTimeout: 30 });
  await connected(ann);
  server.intercept = (e) => (e.payload.action === "session:ping" ? "ignore" : undefined);
  assert.equal((await next(ann, "close")).reason, "silent");
  server.intercept = undefined;
  await next(ann, "resumed");
});

test("a refused session says why; a retryable refusal is tried again", async (t) => {
  const { server, make } = await setup(t);
  let refusals = 1;
  server.intercept = (e) =>
    e.payload.action === "session:open" && refusals-- > 0 ? new Fault("overloaded", "busy", { retryable: true, retry_after_ms: 10 }) : undefined;
  await connected(make("ann"));
  server.intercept = () => new Fault("forbidden", "no");
  const bob = make("bob");
  bob.connect();
  assert.equal((await next(bob, "error")).code, "forbidden");
});

test("an ephemeral message is an event", async (t) => {
  const { ann, bob } = await pair(t);
  const event = next(bob, "event");
  const ack = await ann.send("conv:1", { body: { x: 1 }, ephemeral: true });
  assert.equal(ack.offset, undefined);
  assert.deepEqual((await event).payload.data.body, { x: 1 });
});

test("the server process dies and comes back without its sessions", async (t) => {
  const { server, ann, bob } = await pair(t);
  const got = texts(bob);
  await ann.send("conv:1", { text: "before" });
  const { store, port } = server;
  const again = new FakeServer();
  again.store = store;
  await server.close();
  const sent = ann.send("conv:1", { text: "while away" });
  await again.listen(port);
  t.after(() => again.close());
  await sent;
  await reached(bob, "conv:1", 3);
  assert.deepEqual(got, ["before", "while away"]);
});
