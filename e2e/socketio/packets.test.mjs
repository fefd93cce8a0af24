// Packets by hand: revision 5 of Socket.IO's protocol against the application of configs/conformance.yaml,
// which sends events named "message" back, and those named "message-with-ack" in their ack.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { io } from "socket.io-client";
import { Heddle } from "./node.mjs";
import { Line, Polling } from "./raw.mjs";

const path = "/socket.io/";
let node;
let real; // the conformance application does not look into what it sends back
before(async () => {
  // The config's own timeout is the test suite's, which a busy machine may miss.
  [node, real] = await Promise.all([Heddle.conformance({ set: ["engineio.ping_timeout=10s"] }), Heddle.dev()]);
});
after(() => Promise.all([node?.stop(), real?.stop()]));

async function opened(t) {
  const line = await Line.open(node.url, path, { EIO: "4", transport: "websocket" });
  t.after(() => line.ws.terminate());
  assert.equal((await line.next())[0], "0");
  return line;
}

/** A connection that is in a namespace. */
async function joined(t, namespace = "") {
  const line = await opened(t);
  await join(line, namespace);
  return line;
}

async function join(line, namespace) {
  const tag = namespace && `${namespace},`;
  line.send(`40${tag}`);
  const answer = await line.next();
  assert.ok(answer.startsWith(`40${tag}{`), answer);
  const { sid } = JSON.parse(answer.slice(2 + tag.length));
  assert.equal(await line.next(), `42${tag}["auth",{}]`);
  return sid;
}

/** A text frame as its packet without data, and the data. */
const parts = (frame) => {
  const at = frame.search(/[[{]/);
  return [frame.slice(0, at), JSON.parse(frame.slice(at))];
};

for (const namespace of ["", "/custom"]) {
  const tag = namespace && `${namespace},`;
  const where = namespace || "the main namespace";

  test(`connect to ${where}, with and without auth`, async (t) => {
    await joined(t, namespace);
    const line = await opened(t);
    line.send(`40${tag}{"token":"123","n":[1,{"a":null}]}`);
    const [head, { sid }] = parts(await line.next());
    assert.deepEqual([head, typeof sid], [`40${tag}`, "string"]);
    assert.deepEqual(parts(await line.next()), [`42${tag}`, ["auth", { token: "123", n: [1, { a: null }] }]]);
  });

  test(`events and acks in ${where}`, async (t) => {
    const line = await joined(t, namespace);
    line.send(`42${tag}["message",1,"2",{"3":[true,null]},"\\u00e9 ☕"]`);
    assert.deepEqual(parts(await line.next()), [`42${tag}`, ["message-back", 1, "2", { 3: [true, null] }, "é ☕"]]);
    line.send(`42${tag}456["message-with-ack",1,"2",{"3":[false]}]`);
    assert.equal(await line.next(), `43${tag}456[1,"2",{"3":[false]}]`);
    line.send(`42${tag}0["message-with-ack",""]`);
    assert.equal(await line.next(), `43${tag}0[""]`);
  });

  test(`disconnect from ${where}, and another connect`, async (t) => {
    const line = await joined(t, namespace);
    line.send(`41${tag}`);
    await join(line, namespace);
    line.send(`42${tag}["message","again"]`);
    assert.equal(await line.next(), `42${tag}["message-back","again"]`);
  });
}

test("over polling, several packets in one body", async () => {
  const p = new Polling(node.url, path);
  await p.open();
  await p.post(["40", "40/custom,", '42["message","a"]', '42/custom,7["message-with-ack","b"]'].join("\x1e"));
  const got = await p.said(6);
  assert.deepEqual(got.map((s) => parts(s)[0]), ["40", "42", "40/custom,", "42/custom,", "42", "43/custom,7"]);
  assert.deepEqual(got.slice(4), ['42["message-back","a"]', '43/custom,7["b"]']);
});

test("a namespace that there is not is refused, and the others stay", async (t) => {
  const line = await joined(t);
  line.send("40/random,");
  assert.deepEqual(parts(await line.next()), ["44/random,", { message: "Invalid namespace" }]);
  line.send('42["message"]');
  assert.equal(await line.next(), '42["message-back"]');
});

test("sids of namespaces differ from each other and from the transport's", async (t) => {
  const p = new Polling(node.url, path);
  const { sid } = await p.open();
  const ids = [sid];
  for (const tag of ["", "/custom,"]) {
    await p.post(`40${tag}`);
    ids.push(parts((await p.said(2))[0])[1].sid);
  }
  assert.equal(new Set(ids).size, 3);
});

test("binary with its attachments, over WebSocket", async (t) => {
  const line = await joined(t, "/custom");
  const one = Buffer.from([1, 2, 3, 4]);
  const two = Buffer.alloc(0);
  line.send('452-/custom,["message",{"_placeholder":true,"num":0},{"x":{"_placeholder":true,"num":1}}]', one, two);
  // Attachments come behind, in the order of their numbers.
  const [head, [name, first, second]] = parts(await line.next());
  assert.deepEqual([head, name, first, second], ["452-/custom,", "message-back", { _placeholder: true, num: 0 }, { x: { _placeholder: true, num: 1 } }]);
  assert.deepEqual([await line.next(), await line.next()], [one, two]);
  line.send('451-/custom,789["message-with-ack",{"_placeholder":true,"num":0}]', one);
  assert.deepEqual(parts(await line.next()), ["461-/custom,789", [{ _placeholder: true, num: 0 }]]);
  assert.deepEqual(await line.next(), one);
});

test("binary over polling", async () => {
  const p = new Polling(node.url, path);
  await p.open();
  await p.post("40");
  await p.said(2);
  await p.post('451-["message",{"_placeholder":true,"num":0}]\x1ebAQIDBA==');
  assert.deepEqual(await p.said(2), ['451-["message-back",{"_placeholder":true,"num":0}]', "bAQIDBA=="]);
});

for (const [what, frames] of [
  ["a packet of no type", ["4abc"]],
  ["a type that there is not", ["49"]],
  ["an event without arguments", ["42"]],
  ["an event that is an object", ["42{}"]],
  ["an ack id and then letters", ["421a[]"]],
  ["a connect with a list", ["40[]"]],
  ["a disconnect with data", ["41{}"]],
  ["an ack without an id", ["43[]"]],
  ["a connect error, which only servers send", ['44{"message":"no"}']],
  ["a namespace that is connected already", ["40"]],
  ["a packet for a namespace that is not connected", ['42/custom,["message"]']],
  ["an attachment without its packet", [Buffer.from([1])]],
  ["a packet before the attachments of the one before", ['451-["message",{"_placeholder":true,"num":0}]', '42["message"]']],
  ["more placeholders than attachments", ['451-["message",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]', Buffer.from([1])]],
  ["a number of attachments beyond all bounds", ['451000000-["message"]']],
]) {
  test(`${what} closes the connection`, async (t) => {
    const line = await joined(t);
    line.send(...frames);
    await line.end();
  });
}

for (const [what, packet] of [["half of an argument", '42["message:send",{"a":'], ["a name that is a number", "42[1]"], ["text behind its arguments", '42["message:send",{}]x'], ["a comma too many", '42["message:send",]']]) {
  test(`an event with ${what} closes a connection of people`, async (t) => {
    const line = await Line.open(real.url, path, { EIO: "4", transport: "websocket" });
    t.after(() => line.ws.terminate());
    await line.next();
    line.send(`40${JSON.stringify({ token: await real.token("ann") })}`);
    assert.match(await line.next(), /^40{/);
    line.send(packet);
    await assert.rejects(async () => {
      for (;;) await line.next();
    }, /closed with 4400/);
  });
}

test("events before any connect close the connection", async (t) => {
  const line = await opened(t);
  line.send('42["message"]');
  await line.end();
});

test("who connects to nothing is sent away in time", async (t) => {
  const line = await opened(t);
  const start = Date.now();
  await line.end();
  assert.ok(Date.now() - start >= 900);
});

test("socket.io-client and the same application", async (t) => {
  const manager = io(node.url, { forceNew: true, auth: { token: "123" } });
  const custom = manager.io.socket("/custom", {});
  t.after(() => (manager.disconnect(), custom.disconnect()));
  const greeted = [manager, custom].map((socket) => new Promise((done) => socket.once("auth", done)));
  assert.deepEqual(await Promise.all(greeted), [{ token: "123" }, {}]);
  for (const socket of [manager, custom]) {
    const bytes = Buffer.from([1, 2, 3]);
    const back = new Promise((done) => socket.once("message-back", (...args) => done(args)));
    socket.emit("message", 1, "2", { three: [bytes] }, null);
    assert.deepEqual(await back, [1, "2", { three: [bytes] }, null]);
    assert.deepEqual(await socket.emitWithAck("message-with-ack", { bytes }), { bytes });
  }
});
