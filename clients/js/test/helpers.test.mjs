// Typing, Unread and Presence, against the fake server.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Presence, Typing, Unread } from "./.out/index.js";
import { connected, next, pair, reached, setup, until } from "./fake/harness.mjs";
import { Fault } from "./fake/store.mjs";

/** What a server was asked of these actions. */
function asked(server, ...actions) {
  const list = [];
  server.intercept = (e) => void (actions.includes(e.payload.action) && list.push(e.payload.action.split(":")[1]));
  return list;
}

const changed = (helper) => (listener) => helper.onChange(listener);

test("typing: told at the first key, not at each, and when it stops", async (t) => {
  const { server, ann, bob } = await pair(t);
  const told = asked(server, "typing:start", "typing:stop");
  const [mine, theirs] = [new Typing(ann, 40), new Typing(bob)];
  for (let i = 0; i < 20; i++) mine.input("conv:1");
  await until(changed(theirs), () => theirs.who("conv:1").users[0] === "ann");
  assert.deepEqual(mine.who("conv:1"), { users: [], others: 0 }, "not oneself");
  await until(changed(theirs), () => theirs.who("conv:1").users.length === 0);
  assert.deepEqual(told, ["start", "stop"], "a silence ends it");
  mine.input("conv:1");
  mine.stop();
  mine.stop();
  await ann.ping();
  assert.deepEqual(told, ["start", "stop", "start", "stop"]);
});

test("typing: told again while it lasts, and in one room at a time", async (t) => {
  const { server, ann } = await pair(t);
  await ann.room.create("conv:2");
  const told = [];
  server.intercept = (e) => void (e.payload.action.startsWith("typing:") && told.push(`${e.payload.action} ${e.room}`));
  const mine = new Typing(ann, 15);
  const begin = performance.now();
  while (performance.now() - begin < 40) {
    mine.input("conv:1");
    await ann.ping();
  }
  mine.input("conv:2");
  mine.stop();
  await ann.ping();
  assert.ok(told.filter((s) => s === "typing:start conv:1").length >= 2);
  assert.deepEqual(told.slice(-3), ["typing:stop conv:1", "typing:start conv:2", "typing:stop conv:2"]);
});

test("typing: ends with its time, and with the connection", async (t) => {
  const { server, ann, bob } = await pair(t);
  const [mine, theirs] = [new Typing(ann), new Typing(bob)];
  const shows = (n) => until(changed(theirs), () => theirs.who("conv:1").users.length === n);
  server.typingMs = 30;
  mine.input("conv:1");
  await shows(1);
  await shows(0);
  server.typingMs = 8000;
  mine.stop();
  mine.input("conv:1");
  await shows(1);
  bob.drop();
  await shows(0);
});

test("typing: nothing is queued offline, and a server that does not know it is left alone", async (t) => {
  const { server, ann } = await pair(t);
  const mine = new Typing(ann, 5);
  ann.goOffline();
  mine.input("conv:1");
  assert.equal(ann.pending, 0);
  const resumed = next(ann, "resumed");
  ann.goOnline();
  await resumed;
  let asks = 0;
  server.intercept = (e) => (e.payload.action === "typing:start" && ++asks ? new Fault("unknown_action") : undefined);
  mine.input("conv:1");
  await ann.ping();
  mine.stop();
  mine.input("conv:1");
  await ann.ping();
  assert.equal(asks, 1);
});

test("unread: counts others' messages, and devices agree", async (t) => {
  const { server, make } = await setup(t);
  const [ann, phone, laptop] = [make("ann"), make("bob", { device: "phone" }), make("bob", { device: "laptop" })];
  const counts = [new Unread(phone), new Unread(laptop)];
  const mine = new Unread(ann);
  await Promise.all([ann, phone, laptop].map(connected));
  await ann.room.create("conv:1", { members: ["bob"] });
  const agree = (n) => Promise.all(counts.map((c) => until(changed(c), () => c.of("conv:1") === n)));
  for (const text of ["2", "3", "4"]) await ann.send("conv:1", { text });
  await agree(3);
  assert.equal(mine.of("conv:1"), 0, "one has read what one has written");
  counts[0].read("conv:1", 3);
  assert.equal(counts[0].of("conv:1"), 1, "at once");
  await agree(1);
  counts[0].read("conv:1", 2);
  assert.equal(counts[0].of("conv:1"), 1, "never backwards");
  await laptop.send("conv:1", { text: "5" });
  await agree(0);
  await ann.edit("conv:1", 4, 0, { text: "4!" });
  await ann.delete("conv:1", 3);
  await reached(laptop, "conv:1", 7);
  assert.equal(counts[1].of("conv:1"), 0, "changes are no messages");
  assert.equal(server.store.state("conv:1", "bob").unread, 0);
});

test("unread: over a resume, over a new session, and from a snapshot that has some", async (t) => {
  const { server, ann, bob } = await pair(t);
  const count = new Unread(bob);
  bob.drop();
  await next(bob, "resumed");
  bob.goOffline();
  for (const text of ["2", "3"]) await ann.send("conv:1", { text });
  bob.goOnline();
  await reached(bob, "conv:1", 3);
  assert.equal(count.of("conv:1"), 2);
  bob.goOffline();
  server.records.clear();
  await ann.send("conv:1", { text: "4" });
  bob.goOnline();
  await reached(bob, "conv:1", 4);
  assert.equal(count.of("conv:1"), 3);
  await ann.send("conv:1", { text: "5" });
  await reached(bob, "conv:1", 5);
  assert.equal(count.of("conv:1"), 4);
  count.read("conv:1", 3);
  await until(changed(count), () => count.of("conv:1") === 2);
  assert.equal(count.readOffset("conv:1"), 3);
});

test("unread: rooms come and go", async (t) => {
  const { make, ann, bob } = await pair(t);
  const cid = make("cid");
  const count = new Unread(cid);
  await connected(cid);
  await ann.send("conv:1", { text: "before" });
  await ann.room.update("conv:1", { add: ["cid"] });
  await bob.send("conv:1", { text: "hello cid" });
  await until(changed(count), () => count.of("conv:1") === 1);
  await ann.room.update("conv:1", { remove: ["cid"] });
  await until(changed(count), () => !count.rooms().includes("conv:1"));
  assert.equal(count.of("conv:1"), 0);
});

// What the server says of presence stands here.
function scripted(server) {
  const told = [];
  server.intercept = (e, session) => {
    const { action, data } = e.payload;
    if (!action.startsWith("presence:")) return undefined;
    told.push([action, e.room ?? data.users ?? data.status]);
    const online = (user) => ({ user, status: "online", since: 1 });
    const page = data.after ? { users: [online("r2")], online: 2 } : { users: [online("r1")], next: "r1", online: 2 };
    const reply = action !== "presence:subscribe" ? {} : data.users ? { users: data.users.map(online) } : page;
    session.send({ type: "ack", ref: e.id, payload: { action, data: reply } });
    return "ignore";
  };
  return told;
}

test("presence: what is told is known, over reconnects", async (t) => {
  const { server, ann } = await pair(t);
  const told = scripted(server);
  const presence = new Presence(ann);
  await presence.watch(["bob", "cid", "bob"]);
  await presence.watch(["bob"]);
  assert.deepEqual(told, [["presence:subscribe", ["bob", "cid"]]]);
  assert.equal(presence.of("bob").status, "online");
  const event = (data, more = {}) => server.of("ann").send({ type: "event", ...more, payload: { action: "presence:update", data } });
  event({ users: [{ user: "bob", status: "away", since: 5 }, { user: "cid", status: "dnd", text: "busy", since: 5 }] });
  await until(changed(presence), () => presence.of("bob").status === "away");
  assert.equal(presence.of("cid").text, "busy");
  event({ user: "cid", status: "online", since: 4 });
  event({ user: "cid", status: "offline", since: 6 });
  await until(changed(presence), () => presence.of("cid").status === "offline");
  await presence.update({ status: "dnd" });
  let counts = new Promise((resolve) => presence.onCounts(resolve));
  await presence.watchRoom("conv:1");
  assert.deepEqual(await counts, { room: "conv:1", counts: { online: 2, away: 0, dnd: 0 } });
  assert.deepEqual([presence.of("r1").status, presence.of("r2").status], ["online", "online"], "all pages");
  counts = new Promise((resolve) => presence.onCounts(resolve));
  server.of("ann").send({ type: "event", room: "conv:1/presence", payload: { action: "presence:counts", data: { online: 900, away: 50, dnd: 1 } } });
  assert.deepEqual(await counts, { room: "conv:1", counts: { online: 900, away: 50, dnd: 1 } });
  await presence.unwatch(["cid"]);
  assert.equal(presence.of("cid"), undefined);
  told.length = 0;
  ann.drop();
  await next(ann, "resumed");
  while (told.length < 3) await ann.ping();
  assert.deepEqual(told, [["presence:subscribe", ["bob"]], ["presence:subscribe", "conv:1"], ["presence:subscribe", "conv:1"]]);
});

test("presence: at most a hundred users in one subscription", async (t) => {
  const { server, ann } = await pair(t);
  const told = scripted(server);
  await new Presence(ann).watch(Array.from({ length: 250 }, (_, i) => `u${i}`));
  assert.deepEqual(told.map(([, users]) => users.length), [100, 100, 50]);
});

test("presence: a server that does not know it is asked once", async (t) => {
  const { server, ann } = await pair(t);
  const presence = new Presence(ann);
  assert.equal(presence.available, undefined);
  const told = [];
  server.intercept = (e) => (e.payload.action.startsWith("presence:") && told.push(e.payload.action) ? new Fault("unknown_action") : undefined);
  await presence.watch(["bob"]);
  await presence.update({ status: "away" });
  await presence.watch(["cid"]);
  assert.equal(presence.available, false);
  assert.deepEqual(told, ["presence:subscribe"]);
});

test("presence: users come, choose a status, and go", async (t) => {
  const { make, ann } = await pair(t);
  const presence = new Presence(ann);
  await presence.watchRoom("conv:1");
  assert.equal(presence.of("bob").status, "online");
  await presence.watch(["cid"]);
  assert.equal(presence.of("cid").status, "offline");
  const cid = make("cid");
  await connected(cid);
  await until(changed(presence), () => presence.of("cid").status === "online");
  await new Presence(cid).update({ status: "dnd", text: "busy" });
  await until(changed(presence), () => presence.of("cid").text === "busy");
  await cid.close();
  await until(changed(presence), () => presence.of("cid").status === "offline");
});
