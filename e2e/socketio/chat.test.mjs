// Chat with the unmodified socket.io-client, over each way that it may be carried.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { io } from "socket.io-client";
import { eventually, Heddle } from "./node.mjs";
import { NativeSocket, newRoom, Person, Poller, talk, together, transports } from "./people.mjs";

let node;
const token = (user) => node.token(user);
before(async () => {
  node = await Heddle.dev({ set: ["socketio.namespaces=[/shop]"] });
});
after(() => node?.stop());

const person = (t, user, options) => new Person(t, node.url, { user, token, ...options }).connected();

for (const [name, list] of Object.entries(transports)) {
  test(`four people talk over ${name}`, async (t) => {
    const people = await Promise.all(["ann", "bob", "cid", "dan"].map((user) => person(t, user, { transports: list })));
    const room = await together(people);
    await talk(people, room);
    if (list.includes("websocket")) await Promise.all(people.map((p) => p.upgraded()));
    await talk(people, room, 20);
    for (const p of people) {
      assert.equal(p.transport, list.at(-1));
      assert.deepEqual([p.recovered, p.gone, p.refused], [[false], [], []]);
    }
  });

  test(`binary there and back over ${name}`, async (t) => {
    const [ann, bob] = await Promise.all(["ann", "bob"].map((user) => person(t, user, { transports: list })));
    const room = await together([ann, bob]);
    const all = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    const body = { whole: all, list: [new Uint8Array([1, 2, 3]).buffer, "text", Buffer.alloc(0)], n: 1.5 };
    const ack = await ann.say(room, "files", { body });
    assert.equal(ack.room, room);
    await bob.hears(room, 1);
    const [got] = bob.messages(room);
    assert.deepEqual(got.data, { text: "files", body: { whole: all, list: [Buffer.from([1, 2, 3]), "text", Buffer.alloc(0)], n: 1.5 } });
    // And in an ack, which is binary then itself.
    const { data } = await bob.emit("room:history", {}, { room });
    const { body: read } = data.events.map((e) => e.payload?.data ?? e.data).find((d) => d.text === "files");
    assert.deepEqual(read, got.data.body);
  });
}

test("all ways and the native protocol meet in one room, in one order", async (t) => {
  const socketio = await Promise.all(Object.values(transports).map((list, i) => person(t, `user${i}`, { transports: list })));
  const native = [await NativeSocket.connect(t, node.url, { user: "nat", token }), await Poller.connect(t, node.url, { user: "pol", token })];
  const people = [...socketio, ...native];
  const room = await together(people);
  await talk(people, room, 10);
  // Binary is the same for those who have no attachments.
  await socketio[0].say(room, "bytes", { body: Buffer.from("abc") });
  for (const n of native) {
    await n.hears(room, 51);
    assert.deepEqual(n.messages(room).at(-1).data, { text: "bytes", body: { $binary: "YWJj" } });
  }
  await native[0].say(room, "back", { body: { $binary: "YWJj" } });
  for (const p of socketio) {
    await p.hears(room, 52);
    assert.deepEqual(p.messages(room).at(-1).data.body, Buffer.from("abc"));
  }
});

test("acks tell where an event is, or why it is not", async (t) => {
  const ann = await person(t, "ann");
  const room = await together([ann]);
  const acks = [];
  await new Promise((done) => {
    for (let i = 0; i < 20; i++) ann.socket.emit("message:send", { room, text: `${i}` }, (ack) => acks.push(ack) === 20 && done());
  });
  await ann.hears(room, 20);
  assert.deepEqual(acks.map((a) => a.offset), ann.messages(room).map((m) => m.meta.offset));
  assert.deepEqual(acks.map((a) => a.id), ann.messages(room).map((m) => m.meta.id));
  assert.ok(acks.every((a) => a.ok && a.room === room && a.epoch === acks[0].epoch));

  const refused = await ann.socket.emitWithAck("message:send", { room: newRoom(), text: "nobody" });
  assert.deepEqual([refused.ok, refused.error.code, refused.error.field, refused.error.retryable], [false, "forbidden", "room", false]);
  for (const [data, code] of [["text", "invalid"], [[1], "invalid"], [{ room, text: "" }, "invalid"]]) {
    const ack = await ann.socket.emitWithAck("message:send", data);
    assert.deepEqual([ack.ok, ack.error.code], [false, code], JSON.stringify(ack));
  }
  assert.equal((await ann.socket.emitWithAck("no:such", {})).ok, false);

  // Without a callback a refusal is an event.
  ann.socket.emit("message:send", { text: "nobody" }, { room: newRoom(), id: "mine" });
  const [told] = await eventually(() => ann.told("error").length && ann.told("error"));
  assert.deepEqual([told.data.code, told.meta.ref], ["forbidden", "mine"]);
  await ann.say(room, "still there");
});

test("an id of one's own is stored once", async (t) => {
  const ann = await person(t, "ann");
  const room = await together([ann]);
  const send = () => ann.socket.emitWithAck("message:send", { text: "once" }, { room, id: "my-1" });
  const [one, two] = [await send(), await send()];
  assert.deepEqual([two.ok, two.offset, two.data.repeat], [true, one.offset, true]);
  await ann.say(room, "end");
  assert.deepEqual(await ann.hears(room, 2), ["once", "end"]);
});

test("a timeout is over before an ack that never comes, and not before one that does", async (t) => {
  const ann = await person(t, "ann", { transports: ["websocket"] });
  const room = await together([ann]);
  assert.equal((await ann.socket.timeout(10_000).emitWithAck("message:send", { room, text: "a" })).ok, true);
  ann.socket.io.engine.transport.ws.pause(); // answers stay in the network
  await assert.rejects(ann.socket.timeout(100).emitWithAck("message:send", { room, text: "b" }), /timed out/);
  ann.socket.io.engine.transport.ws.resume();
  assert.deepEqual(await ann.hears(room, 2), ["a", "b"]);
});

test("namespaces share a connection, and nothing else", async (t) => {
  const ann = await person(t, "ann");
  const bob = await person(t, "bob");
  const room = await together([ann, bob]);
  const voice = await ann.beside(t, "/voice", { token }).connected();
  const shop = await ann.beside(t, "/shop", { token }).connected();
  assert.equal(new Set([ann, voice, shop].map((p) => p.socket.id)).size, 3);
  assert.equal(voice.socket.io, ann.socket.io);
  await assert.rejects(voice.say(room, "not joined"), { code: "forbidden" });
  await shop.emit("room:join", {}, { room });
  await bob.say(room, "to all");
  await Promise.all([ann.hears(room, 1), shop.hears(room, 1)]);
  await shop.say(room, "from the shop", { body: Buffer.from("x") });
  for (const p of [ann, bob, shop]) {
    assert.deepEqual(await p.hears(room, 2), ["to all", "from the shop"]);
    assert.deepEqual(p.messages(room)[1].data.body, Buffer.from("x"));
  }
  assert.deepEqual(voice.messages(), []);

  shop.socket.disconnect();
  assert.deepEqual(shop.gone, ["io client disconnect"]);
  await ann.say(room, "the others go on");
  await bob.hears(room, 3);
  assert.equal(shop.messages(room).length, 2);
  const id = shop.socket.id;
  shop.socket.connect();
  await shop.connected(2);
  assert.notEqual(shop.socket.id, id);
  assert.deepEqual(shop.recovered, [false, false]);
  assert.deepEqual([ann.gone, voice.gone], [[], []]);
});

test("who may not connect is told why", async (t) => {
  const refusal = async (namespace, auth) => {
    const socket = io(node.url + namespace, { forceNew: true, auth });
    t.after(() => socket.disconnect());
    const err = await new Promise((done, fail) => socket.once("connect_error", done).once("connect", () => fail(new Error("connected"))));
    assert.equal(socket.active, false, "it must not come back by itself");
    return { err, socket };
  };
  for (const auth of [{}, { token: "rubbish" }, { token: 5 }]) {
    const { err } = await refusal("/", auth);
    assert.equal(typeof err.data?.code, "string", `${JSON.stringify(auth)}: ${err.message}, ${JSON.stringify(err.data)}`);
    assert.equal(err.data.message, err.message);
  }
  const { err, socket } = await refusal("/shop", { token: "rubbish" });
  assert.equal(err.data.code, "unauthenticated");
  assert.equal((await refusal("/nowhere", { token: await token("ann") })).err.message, "Invalid namespace");
  // With a good token the same socket gets in.
  socket.auth = { token: await token("ann") };
  await new Promise((done) => socket.once("connect", done).connect());
});

test("retries send again what was not answered, and it is there once", async (t) => {
  const ann = await person(t, "ann", { transports: ["websocket"], retries: 5, ackTimeout: 500 });
  const bob = await person(t, "bob");
  const room = await together([bob, ann]);
  let again = 0;
  const { engine } = ann.socket.io;
  const send = engine.transport.ws.send;
  // The first of each packet with an ack gets lost on its way.
  const lost = new Set();
  engine.transport.ws.send = function (data, ...rest) {
    const text = /^42\d+(\[.*"id":"(m\d)".*)$/.exec(data);
    if (text && !lost.has(text[2])) {
      lost.add(text[2]);
      again++;
      rest.at(-1)?.();
      return;
    }
    send.call(this, data, ...rest);
  };
  const acks = await Promise.all([0, 1, 2].map((i) => ann.socket.emitWithAck("message:send", { text: `m${i}` }, { room, id: `m${i}` })));
  assert.equal(again, 3);
  assert.ok(acks.every((a) => a.ok));
  assert.deepEqual(await bob.hears(room, 3), ["m0", "m1", "m2"]);
});
