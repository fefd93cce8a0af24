// The actions of a chat, between clients and the fake server.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Timeline } from "./.out/chat.js";
import { connected, next, pair, reached } from "./fake/harness.mjs";
import { Fault } from "./fake/store.mjs";

/** A timeline that follows a client's room. */
const follow = (client, room) => {
  const timeline = new Timeline(room, client.session.user);
  client.on("message", (m) => timeline.take(m));
  return timeline;
};

const history = (client) => (room, query) => client.room.history(room, query);
const brief = (timeline) => timeline.entries().filter((e) => e.kind !== "event")
  .map((e) => (e.kind === "message" ? [e.content.text, e.version, Object.keys(e.reactions).join("")] : [e.kind, e.by]));

test("edit, react and delete reach everybody, and history says the same", async (t) => {
  const { ann, bob } = await pair(t);
  const live = follow(bob, "conv:1");
  await ann.send("conv:1", { text: "helo", meta: { n: 1 } });
  await ann.send("conv:1", { text: "oops" });
  assert.deepEqual((await ann.edit("conv:1", 2, 0, { text: "hello" })).data, { version: 1 });
  await bob.react("conv:1", 2, "👍");
  assert.deepEqual((await bob.react("conv:1", 2, "👍")).data, { repeat: true });
  await ann.react("conv:1", 2, "🎉");
  await ann.react("conv:1", 2, "🎉", true);
  await ann.delete("conv:1", 3);
  await reached(bob, "conv:1", 8);
  const want = [["hello", 1, "👍"], ["deleted", "ann"]];
  assert.deepEqual(brief(live), want);
  assert.deepEqual(live.at(2).content.meta, { n: 1 });
  const read = new Timeline("conv:1", "bob");
  await read.load(history(bob));
  assert.deepEqual(brief(read), want);
  assert.deepEqual(read.at(2).reactions, live.at(2).reactions);
});

test("refusals name the field", async (t) => {
  const { ann, bob } = await pair(t);
  await ann.send("conv:1", { text: "a" });
  await ann.edit("conv:1", 2, 0, { text: "b" });
  await assert.rejects(ann.edit("conv:1", 2, 0, { text: "c" }), { code: "conflict", field: "data.version" });
  await assert.rejects(bob.edit("conv:1", 2, 1, { text: "c" }), { code: "forbidden", field: "data.offset" });
  await ann.delete("conv:1", 2);
  await assert.rejects(bob.react("conv:1", 2, "x"), { code: "conflict", field: "data.offset" });
});

test("hidden from one user, on all devices of that user", async (t) => {
  const { make, ann, bob } = await pair(t);
  const other = make("bob", { device: "phone" });
  await connected(other);
  const [first, second] = [follow(bob, "conv:1"), follow(other, "conv:1")];
  await ann.send("conv:1", { text: "a" });
  await reached(other, "conv:1", 2);
  const told = next(other, "message", (m) => m.room === "user:bob");
  await bob.delete("conv:1", 2, "me");
  await told;
  for (const timeline of [first, second]) assert.equal(timeline.at(2).forMe, true);
  const read = new Timeline("conv:1", "ann");
  await read.load(history(ann));
  assert.deepEqual(brief(read), [["a", 0, ""]]);
});

test("an edit whose answer was lost happens once", async (t) => {
  const { server, ann, bob } = await pair(t);
  const live = follow(bob, "conv:1");
  await ann.send("conv:1", { text: "a" });
  server.muteAcks = (e) => e.payload.action === "message:edit";
  const edited = ann.edit("conv:1", 2, 0, { text: "b" });
  await reached(ann, "conv:1", 3);
  server.muteAcks = undefined;
  ann.drop();
  assert.equal((await edited).data.repeat, true);
  await reached(bob, "conv:1", 3);
  assert.deepEqual(brief(live), [["b", 1, ""]]);
});

test("changes while a client was away follow, resumed or not", async (t) => {
  for (const forget of [false, true]) {
    await t.test(forget ? "in a new session" : "resumed", async (t) => {
      const { server, ann, bob } = await pair(t);
      const live = follow(bob, "conv:1");
      for (const text of ["a", "b", "c"]) await ann.send("conv:1", { text });
      await reached(bob, "conv:1", 4);
      bob.goOffline();
      await ann.edit("conv:1", 2, 0, { text: "a1" });
      await ann.edit("conv:1", 2, 1, { text: "a2" });
      await ann.delete("conv:1", 3);
      await ann.send("conv:1", { text: "d" });
      await ann.react("conv:1", 8, "x");
      await ann.send("conv:1", { text: "e" });
      await ann.delete("conv:1", 10);
      if (forget) server.records.clear();
      bob.goOnline();
      await reached(bob, "conv:1", 11);
      assert.deepEqual(brief(live), [["a2", 2, ""], ["deleted", "ann"], ["c", 0, ""], ["d", 0, "x"], ["deleted", "ann"]]);
    });
  }
});

test("direct messages to a user and to a device", async (t) => {
  const { make, ann, bob } = await pair(t);
  const phone = make("bob", { device: "phone" });
  await connected(phone);
  const stored = [next(bob, "message"), next(phone, "message"), next(ann, "message")];
  await ann.direct({ to: "bob", text: "psst" });
  const rooms = (await Promise.all(stored)).map((m) => [m.room, m.payload.data.to]);
  assert.deepEqual(rooms, [["user:bob", undefined], ["user:bob", undefined], ["user:ann", "bob"]]);
  const ring = next(phone, "event");
  assert.equal((await ann.direct({ to: "bob", device: "phone", body: { ring: true } })).data.delivered, 1);
  assert.deepEqual((await ring).payload.data, { body: { ring: true } });
  await assert.rejects(ann.direct({ to: "bob", device: "tablet", text: "x" }), { code: "not_found", field: "data.device" });
  assert.deepEqual((await bob.devices()).map((d) => d.device).sort(), ["phone", "web"]);
});

test("members come and go by room:update; a deleted room is followed no more", async (t) => {
  const { make, ann, bob } = await pair(t);
  const cid = make("cid");
  await connected(cid);
  const added = next(cid, "message", (m) => m.payload.action === "room:added");
  await ann.room.update("conv:1", { add: ["cid"], name: "Three" });
  assert.deepEqual((await added).payload.data, { room: "conv:1", since: { epoch: ann.position("conv:1").epoch, offset: 1 } });
  assert.equal(cid.position("conv:1").offset, 2);
  const removed = next(cid, "message", (m) => m.payload.action === "room:removed");
  await ann.room.update("conv:1", { remove: ["cid"] });
  await removed;
  assert.equal(cid.position("conv:1"), undefined);
  await assert.rejects(bob.room.delete("conv:1"), { code: "forbidden" });
  const ended = next(bob, "message", (m) => m.payload.action === "room:delete");
  await ann.room.delete("conv:1");
  await ended;
  for (const client of [ann, bob]) assert.equal(client.position("conv:1"), undefined);
});

test("a room of any type whose members last is not joined again", async (t) => {
  const { server, ann, bob } = await pair(t);
  await bob.room.join("conv:1");
  server.records.clear();
  server.store.room("conv:1").members.delete("bob");
  const asked = [];
  server.intercept = (e) => void asked.push(e.payload.action);
  bob.drop();
  assert.equal((await next(bob, "lost")).reason, "left");
  assert.ok(!asked.includes("room:join"));
  assert.equal(ann.state, "active");
});

test("a token that expires is replaced over the socket", async (t) => {
  const { server, make } = await pair(t);
  let calls = 0;
  const ann = make("ann", { token: undefined, device: "phone", getToken: async () => (calls++, "dev-ann") });
  await connected(ann);
  const session = [...server.sessions].find((s) => s.device === "phone");
  const refreshed = new Promise((resolve) => {
    server.intercept = (e) => void (e.payload.action === "auth:refresh" && resolve(e.payload.data.token));
  });
  session.send({ type: "event", payload: { action: "auth:expiring", data: { expires_at: Date.now() + 60_000 } } });
  assert.equal(await refreshed, "dev-ann");
  assert.equal(calls, 2);
  assert.ok((await ann.refresh()) > Date.now());
  assert.equal(calls, 3);
});

test("rooms that a fresh token does not grant are lost", async (t) => {
  const { server, make } = await pair(t);
  const ann = make("ann", { token: undefined, getToken: () => "dev-ann" });
  await connected(ann);
  await ann.room.join("channel:a");
  server.intercept = (e, session) => {
    if (e.payload.action !== "auth:refresh") return undefined;
    session.send({ type: "ack", ref: e.id, payload: { action: "auth:refresh", data: { expires_at: 7, left: ["channel:a"] } } });
    return "ignore";
  };
  const lost = next(ann, "lost");
  assert.equal(await ann.refresh(), 7);
  assert.deepEqual([(await lost).room, (await lost).reason], ["channel:a", "left"]);
  assert.equal(ann.position("channel:a"), undefined);
});

test("a refresh that fails is told; a token source that fails is asked again", async (t) => {
  const { server, make } = await pair(t);
  let calls = 0;
  const getToken = async () => {
    if (++calls === 2) throw new Error("away");
    return "dev-ann";
  };
  const ann = make("ann", { token: undefined, device: "phone", getToken });
  await connected(ann);
  const expiring = () => [...server.sessions].find((s) => s.device === "phone")
    .send({ type: "event", payload: { action: "auth:expiring", data: {} } });
  server.intercept = (e) => (e.payload.action === "auth:refresh" ? new Fault("unauthenticated", "not yours") : undefined);
  let failed = next(ann, "error");
  expiring();
  assert.equal((await failed).code, "token_failed");
  failed = next(ann, "error", (e) => e.code === "unauthenticated");
  await failed;
  assert.equal(calls, 3);
  assert.equal(ann.state, "active");
});

test("a static token is not refreshed", async (t) => {
  const { server, ann } = await pair(t);
  const asked = [];
  server.intercept = (e) => void asked.push(e.payload.action);
  server.of("ann").send({ type: "event", payload: { action: "auth:expiring", data: {} } });
  await ann.ping();
  assert.deepEqual(asked, ["session:ping"]);
  await assert.rejects(ann.refresh(), { code: "token_failed", retryable: false });
});
