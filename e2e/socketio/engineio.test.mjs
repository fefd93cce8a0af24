// The transport by hand: handshakes, messages, pings, ends and upgrades as revision 4 of Engine.IO's protocol
// has them, and what does not fit it.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import WebSocket from "ws";
import { eventually, Heddle } from "./node.mjs";
import { Line, Polling } from "./raw.mjs";

const path = "/engine.io/";
let node;
let strict; // with the timings of the protocol's test suite, which a busy machine may miss
before(async () => {
  [node, strict] = await Promise.all([Heddle.conformance({ set: ["engineio.ping_timeout=10s"] }), Heddle.conformance()]);
});
after(() => Promise.all([node?.stop(), strict?.stop()]));

async function polling({ url } = node) {
  const p = new Polling(url);
  await p.open();
  return p;
}

async function line(t, query = {}, options = {}) {
  const l = await Line.open((options.at ?? node).url, path, { EIO: "4", transport: "websocket", ...query }, options);
  t.after(() => l.ws.terminate());
  return l;
}

async function opened(t, options) {
  const l = await line(t, {}, options);
  const first = await l.next();
  assert.equal(first[0], "0");
  return Object.assign(l, { said: JSON.parse(first.slice(1)) });
}

/** Who asks like that for a WebSocket is answered with this status, or let in and closed at once. */
function refusedUpgrade(query) {
  return new Promise((done, fail) => {
    const ws = new WebSocket(`${node.url.replace("http", "ws")}${path}?${new URLSearchParams(query)}`);
    ws.on("unexpected-response", (_, res) => {
      done(res.statusCode);
      ws.terminate();
    });
    ws.on("close", () => done("closed"));
    ws.on("error", () => {});
    ws.on("message", (data) => fail(new Error(`let in: ${data}`)));
  });
}

async function refused(answer, status, code) {
  assert.deepEqual([answer.status, (await answer.json()).code], [status, code]);
}

test("a handshake by GET tells the connection's terms", async () => {
  const p = new Polling(strict.url);
  const said = await p.open();
  assert.match(said.sid, /^conformance\.[\w-]{22}$/);
  assert.deepEqual({ ...said, sid: "" }, { sid: "", upgrades: ["websocket"], pingInterval: 300, pingTimeout: 200, maxPayload: 1000000 });
  assert.notEqual((await new Polling(strict.url).open()).sid, said.sid);
});

test("a handshake by WebSocket tells them too, with nothing to upgrade to", async (t) => {
  const { said } = await opened(t, { at: strict });
  assert.equal(typeof said.sid, "string");
  assert.deepEqual({ ...said, sid: "" }, { sid: "", upgrades: [], pingInterval: 300, pingTimeout: 200, maxPayload: 1000000 });
});

for (const [what, query, code] of [
  ["no revision", { EIO: undefined }, 5],
  ["another revision", { EIO: "3" }, 5],
  ["a word for a revision", { EIO: "four" }, 5],
  ["no transport", { transport: undefined }, 0],
  ["a transport that there is not", { transport: "pigeon" }, 0],
  ["WebSocket without its headers", { transport: "websocket" }, 3],
  ["a sid of nobody's", { sid: "nobody" }, 1],
  ["another node's sid", { sid: `heddle-9.${"a".repeat(22)}` }, 1],
  ["JSONP", { j: "0" }, 3],
]) {
  test(`a GET with ${what} is refused`, async () => {
    await refused(await new Polling(node.url).get(query), 400, code);
  });
}

test("a sid of another node is refused with its name", async () => {
  const { message } = await (await new Polling(node.url).get({ sid: `heddle-9.${"a".repeat(22)}` })).json();
  assert.match(message, /heddle-9/);
});

test("another method than GET opens nothing", async () => {
  await refused(await new Polling(node.url).post("4hi"), 400, 2);
  for (const method of ["PUT", "DELETE", "PATCH"]) {
    await refused(await fetch(new Polling(node.url).url(), { method }), 400, 2);
  }
});

for (const [what, query] of [
  ["no revision", { transport: "websocket" }],
  ["another revision", { EIO: "3", transport: "websocket" }],
  ["no transport", { EIO: "4" }],
  ["a transport that there is not", { EIO: "4", transport: "pigeon" }],
  ["a sid of nobody's", { EIO: "4", transport: "websocket", sid: "nobody" }],
]) {
  test(`a WebSocket with ${what} is refused`, async () => {
    assert.equal(await refusedUpgrade(query), 400);
  });
}

test("a POST's packets come back, several in one body and in their order", async () => {
  const p = await polling();
  const answer = await p.post(["4one", "4\u20ac two", "bAQIDBA==", "4"].join("\x1e"));
  assert.deepEqual([answer.status, await answer.text()], [200, "ok"]);
  assert.deepEqual(await p.said(4), ["4one", "4\u20ac two", "bAQIDBA==", "4"]);
});

test("a poll waits for what comes, and types are right", async () => {
  const p = await polling();
  const waits = p.get();
  await p.post("4late");
  const answer = await waits;
  assert.match(answer.headers.get("content-type"), /^text\/plain/);
  assert.ok(["4late", "2"].includes((await answer.text()).split("\x1e")[0]));
});

for (const [what, body] of [["rubbish", "abc"], ["nothing", ""], ["a packet without a type between others", "4a\x1e\x1e4b"], ["what is not base64", "b*"]]) {
  test(`a POST of ${what} ends the connection`, async () => {
    const p = await polling();
    assert.equal((await p.post(body)).status, 400);
    await refused(await p.get(), 400, 1);
  });
}

test("a body over maxPayload is refused, and one of just that size is not", async () => {
  const p = await polling();
  const fits = await p.post("4" + "x".repeat(999_999));
  assert.equal(fits.status, 200);
  await p.said(1);
  const q = await polling();
  assert.equal((await q.post("4" + "x".repeat(1_000_000))).status, 413);
  await refused(await q.get(), 400, 1);
});

test("two polls at once end the connection", async () => {
  const p = await polling();
  const answers = await Promise.all([p.get(), p.get()]);
  assert.ok(answers.some((a) => a.status === 400));
  await refused(await p.get(), 400, 1);
});

test("text and binary over WebSocket come back as what they were", async (t) => {
  const l = await opened(t);
  l.send("4hello", "4\u{1f9f6}", Buffer.from([1, 2, 3, 4]), "4");
  assert.deepEqual([await l.next(), await l.next(), await l.next(), await l.next()], ["4hello", "4\u{1f9f6}", Buffer.from([1, 2, 3, 4]), "4"]);
});

for (const rubbish of ["abc", "", "7", "9ping"]) {
  test(`${JSON.stringify(rubbish)} over WebSocket closes it`, async (t) => {
    const l = await opened(t);
    l.send(rubbish);
    await l.end();
  });
}

test("the server pings, and who answers stays", async (t) => {
  const l = await opened(t, { pings: true });
  for (let i = 0; i < 3; i++) {
    assert.equal(await l.next(), "2");
    l.send("3");
  }
  const p = await polling();
  for (let i = 0; i < 3; i++) {
    assert.deepEqual(await p.packets(), ["2"]);
    assert.equal((await p.post("3")).status, 200);
  }
});

test("who does not answer a ping is gone when its time is over, and not before", async (t) => {
  const start = Date.now();
  const l = await opened(t, { pings: true, at: strict });
  assert.equal(await l.next(), "2");
  await l.end();
  const took = Date.now() - start;
  assert.ok(took >= 480 && took < 3000, `${took} ms`);

  const p = await polling(strict);
  assert.deepEqual(await p.packets(), ["2"]);
  // A poll waits until then, and is told; afterwards nobody knows the connection.
  await p.get();
  await refused(await p.get(), 400, 1);
});

test("a goodbye ends the connection on either transport", async (t) => {
  const p = await polling();
  const waits = p.get();
  await p.post("1");
  const answer = await waits;
  assert.deepEqual([answer.status, await answer.text()], [200, "6"]);
  await refused(await p.get(), 400, 1);
  await refused(await p.post("4hi"), 400, 1);

  const l = await opened(t);
  l.send("1");
  await l.end();
  const m = await opened(t);
  m.ws.close();
  await m.end();
});

/** A polling connection that has moved to WebSocket. */
async function upgraded(t) {
  const p = await polling();
  const l = await line(t, { sid: p.sid });
  l.send("2probe");
  assert.equal(await l.next(), "3probe");
  l.send("5");
  l.send("4moved");
  assert.equal(await l.next(), "4moved");
  return { p, l };
}

test("an upgrade moves the connection, and lets go of the poll that waits", async (t) => {
  const p = await polling();
  const waits = p.get();
  const l = await line(t, { sid: p.sid });
  l.send("2probe");
  assert.equal(await l.next(), "3probe");
  assert.ok(["6", "2"].includes(await (await waits).text()));
  l.send("5", "4over WebSocket", Buffer.from([9]));
  assert.equal(await l.next(), "4over WebSocket");
  assert.deepEqual(await l.next(), Buffer.from([9]));
});

test("what waits for a poll goes over the WebSocket after the upgrade, first and once", async (t) => {
  const p = await polling();
  await p.post("4a\x1ebAQ==\x1e4b");
  const l = await line(t, { sid: p.sid });
  l.send("2probe");
  assert.equal(await l.next(), "3probe");
  l.send("5", "4c");
  assert.deepEqual([await l.next(), await l.next(), await l.next(), await l.next()], ["4a", Buffer.from([1]), "4b", "4c"]);
});

test("polls after the upgrade are refused, and do it no harm", async (t) => {
  const { p, l } = await upgraded(t);
  assert.equal((await p.get()).status, 400);
  assert.equal((await p.post("4hi")).status, 400);
  l.send("4still here");
  assert.equal(await l.next(), "4still here");
});

test("a second WebSocket of one connection is closed, and does it no harm", async (t) => {
  const { p, l } = await upgraded(t);
  const second = await line(t, { sid: p.sid });
  second.send("2probe");
  await second.end();
  l.send("4still here");
  assert.equal(await l.next(), "4still here");
});

test("a probe that is none, or that goes no further, leaves the polling as it was", async (t) => {
  for (const first of ["2", "4hi", "3probe", undefined]) {
    const p = await polling();
    const l = await line(t, { sid: p.sid });
    if (first) {
      l.send(first);
      await l.end();
    } else {
      l.ws.terminate();
    }
    await eventually(async () => {
      assert.equal((await p.post("4hi")).status, 200);
      return (await p.said(1)).includes("4hi");
    });
  }
});
