// Typing, Unread and Presence, against the fake server.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Presence, Readers, Typing, Unread } from "./.out/chat.js";
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
  const starts = () => told.filter((s) => s === "typing:start conv:1").length;
  while (performance.now() - begin < 40 || starts() < 2) {
    mine.input("conv:1");
    await ann.ping();
  }
  mine.input("conv:2");
  mine.stop();
  await ann.ping();
  assert.deepEqual(told.slice(-3), ["typing:stop conv:1", "typing:start conv:2", "typing:stop conv:2"]);
});

test("typing: ends with its time, and with the connection", async (t) => {
  const { server, ann, bob } = await pair(t);
  const [mine, theirs] = [new Typing(ann), new Typing(bob)];
  const shows = (n) => until(changed(theirs), () => theirs.who("conv:1").users.length === n);
  server.typingMs = 300;
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
  const event = (data) => server.of("ann").send({ type: "event", room: `user:${data.user}/presence`, payload: { action: "presence:update", data } });
  event({ user: "cid", status: "dnd", text: "busy", since: 5 });
  event({ user: "bob", status: "away", since: 5 });
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

// A room's presence as a test tells it: answers are pages of `there`, and lists follow.
async function watching(t, there) {
  const { server, ann } = await pair(t);
  const presence = new Presence(ann);
  const counted = [];
  const room = { server, ann, presence, counted, asked: 0, there };
  presence.onCounts(({ counts }) => counted.push(counts.online));
  server.intercept = (e, session) => {
    const { action, data } = e.payload;
    if (!action.startsWith("presence:")) return undefined;
    room.asked++;
    const page = room.there.filter(({ user }) => user > (data.after ?? "")).slice(0, 2);
    const more = page.length > 0 && page.at(-1).user !== room.there.at(-1).user;
    const reply = { users: page, ...room.numbers(), ...(more && { next: page.at(-1).user }) };
    session.send({ type: "ack", ref: e.id, payload: { action, data: reply } });
    return "ignore";
  };
  room.numbers = () => ({ online: room.there.filter((p) => p.status === "online").length, away: 0, dnd: 0 });
  room.tell = (data, action = "presence:update") => server.of("ann").send({ type: "event", room: "conv:1/presence", payload: { action, data } });
  await presence.watchRoom("conv:1");
  return room;
}

const online = (user, since = 5) => ({ user, status: "online", since });

test("presence: a room's lists tell who came and left, and the numbers", async (t) => {
  const room = await watching(t, [online("ann"), online("cid")]);
  const { presence, counted, tell } = room;
  tell({ users: [online("ben", 6)], online: 3, away: 0, dnd: 0 });
  tell({ users: [{ user: "ann", status: "offline" }] }); // says no since, nor numbers: more follows
  tell({ users: [{ user: "cid", status: "offline", since: 7 }], online: 1, away: 0, dnd: 0 });
  await room.ann.ping();
  assert.deepEqual(counted, [2, 3, 1]);
  assert.deepEqual(["ann", "ben", "cid"].map((user) => presence.of(user).status), ["offline", "online", "offline"]);
  tell({ users: [online("ann", 5)], online: 2, away: 0, dnd: 0 });
  await room.ann.ping();
  assert.equal(presence.of("ann").status, "online", "back as before");
  assert.equal(room.asked, 1, "it all adds up");
  tell({ users: [online("dan", 8)], reset: true });
  tell({ users: [online("eve", 8)], online: 2, away: 0, dnd: 0 });
  await room.ann.ping();
  assert.deepEqual(["ann", "ben", "dan", "eve"].map((user) => presence.of(user)?.status), [undefined, undefined, "online", "online"]);
  tell({ online: 900, away: 1, dnd: 2 }, "presence:counts");
  await room.ann.ping();
  assert.equal(counted.at(-1), 900);
  assert.equal(presence.of("dan"), undefined, "nobody tells any more");
  assert.equal(room.asked, 1);
});

test("presence: who counts otherwise subscribes again", async (t) => {
  const room = await watching(t, [online("ann"), online("ben"), online("cid")]);
  const { presence, counted, tell } = room;
  assert.equal(room.asked, 2, "two pages");
  const begin = performance.now();
  room.there = [online("ann")]; // but that cid left does not come
  tell({ users: [{ user: "ben", status: "offline" }], online: 1, away: 0, dnd: 0 });
  await until(changed(presence), () => presence.of("cid") === undefined);
  assert.equal(room.asked, 3);
  assert.deepEqual(counted, [3, 3, 1, 1]);
  // A server that never adds up is not asked without end.
  for (let i = 0; i < 5; i++) tell({ users: [], online: 7, away: 0, dnd: 0 });
  await room.ann.ping();
  assert.ok(room.asked <= 3 + (performance.now() - begin) / 5000, `asked ${room.asked} times`);
  presence.close();
});

test("presence: who has left a room may be elsewhere", async (t) => {
  const { presence, tell, ann } = await watching(t, [online("ben")]);
  await presence.watchRoom("conv:2");
  tell({ users: [{ user: "ben", status: "offline" }], online: 0, away: 0, dnd: 0 });
  await ann.ping();
  assert.equal(presence.of("ben").status, "online");
  await presence.unwatchRoom("conv:2");
  assert.equal(presence.of("ben").status, "offline");
});

test("presence: who may not be watched is told", async (t) => {
  const { server, ann } = await pair(t);
  const presence = new Presence(ann);
  const error = { code: "forbidden", message: "not of your tenant", retryable: false };
  const asked = [];
  server.intercept = (e, session) => {
    const { action, data } = e.payload;
    if (action !== "presence:subscribe") return undefined;
    asked.push(data.users);
    if (data.users.every((user) => user === "eve")) return new Fault("forbidden");
    const [users, refused] = [data.users.filter((u) => u !== "eve").map((u) => online(u)), data.users.includes("eve") ? [{ user: "eve", error }] : undefined];
    session.send({ type: "ack", ref: e.id, payload: { action, data: { users, ...(refused && { refused }) } } });
    return "ignore";
  };
  assert.deepEqual(await presence.watch(["bob", "eve"]), [{ user: "eve", error }]);
  assert.deepEqual(await presence.watch(["bob"]), []);
  await assert.rejects(presence.watch(["eve"]), { code: "forbidden" });
  await assert.rejects(presence.watch(["eve"]), { code: "forbidden" }, "asked each time");
  ann.drop();
  await next(ann, "resumed");
  await ann.ping();
  assert.deepEqual(asked.at(-1), ["bob"]);
});

test("readers: by markers, and by what is written; never back", async (t) => {
  const { ann, bob } = await pair(t);
  const readers = new Readers(ann);
  const reaches = (user, offset) => until(changed(readers), () => readers.of("conv:1", user) === offset);
  await ann.send("conv:1", { text: "2" });
  await reaches("ann", 2);
  assert.deepEqual(readers.who("conv:1", 2), ["ann"]);
  await bob.send("conv:1", { text: "3" });
  await reaches("bob", 3);
  assert.deepEqual(readers.who("conv:1", 2), ["ann", "bob"]);
  await ann.send("conv:1", { text: "4" });
  await bob.read("conv:1", 4);
  await reaches("bob", 4);
  await bob.read("conv:1", 2);
  await bob.react("conv:1", 4, "+");
  await reached(ann, "conv:1", 5);
  assert.equal(readers.of("conv:1", "bob"), 4);
  const later = new Readers(ann); // knows nothing but what history tells
  for (const event of (await ann.room.history("conv:1")).events) later.take(event);
  assert.deepEqual([later.of("conv:1", "ann"), later.of("conv:1", "bob")], [4, 3]);
  await ann.room.delete("conv:1");
  await until(changed(readers), () => readers.of("conv:1", "bob") === 0);
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
