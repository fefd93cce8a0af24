// engine.io-client against the echo of configs/conformance.yaml: each message once and in order, whatever
// becomes of the transport meanwhile.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Socket as Engine } from "engine.io-client";
import { eventually, Heddle } from "./node.mjs";

let node;
before(async () => {
  // The config's own timeout is the test suite's, which a busy machine may miss.
  node = await Heddle.conformance({ set: ["engineio.ping_timeout=10s"] });
});
after(() => node?.stop());

/** A connection, and what has come back over it. */
function dial(t, options) {
  const engine = new Engine(node.url, options);
  t.after(() => engine.close());
  const got = [];
  engine.on("message", (data) => got.push(data));
  engine.on("close", (why) => (engine.why = why));
  return new Promise((done, fail) => engine.once("open", () => done({ engine, got })).once("error", fail));
}

/** The i-th message: text, also in several bytes a letter, and every third one binary. */
function message(i) {
  if (i % 3 === 2) return Buffer.from([i & 255, 0, 30, 255, i >> 8]);
  return i % 3 ? `${i} ☕ 漢字 \u{1f9f6} "quoted"` : `${i}`;
}

const messages = (from, to) => Array.from({ length: to - from }, (_, i) => message(from + i));
const back = (got, n) => eventually(() => got.length >= n || assert.fail(`${got.length} of ${n}`));

for (const [name, transports] of [["polling", ["polling"]], ["WebSocket", ["websocket"]]]) {
  test(`text and binary over ${name}`, async (t) => {
    const { engine, got } = await dial(t, { transports });
    const all = messages(0, 300);
    for (const m of all) engine.send(m);
    await back(got, 300);
    assert.deepEqual(got, all);
    assert.equal(engine.transport.name, transports[0]);
  });

  test(`large ones over ${name}`, async (t) => {
    const { engine, got } = await dial(t, { transports });
    const all = ["x".repeat(60_000), Buffer.alloc(45_000, 7), "é".repeat(30_000)];
    for (const m of all) engine.send(m);
    await back(got, all.length);
    assert.deepEqual(got, all);
  });

  test(`many pings over ${name}`, async (t) => {
    const { engine, got } = await dial(t, { transports });
    let pings = 0;
    engine.on("ping", () => pings++);
    await eventually(() => pings >= 5);
    engine.send("alive");
    await back(got, 1);
    assert.equal(engine.why, undefined);
  });
}

test("before, while and after the upgrade, both ways", async (t) => {
  for (let round = 0; round < 10; round++) {
    const { engine, got } = await dial(t);
    assert.equal(engine.transport.name, "polling");
    const seen = [];
    let sent = 0;
    const send = (n) => {
      for (const m of messages(sent, (sent += n))) engine.send(m);
    };
    for (const event of ["upgrading", "upgrade"]) {
      engine.on(event, () => {
        seen.push(event);
        send(7);
      });
    }
    // One at a time, as answers come, so that some are under way at every moment.
    engine.on("message", () => sent < 150 && send(1));
    send(3);
    await eventually(() => engine.transport.name === "websocket" && sent >= 150);
    send(30);
    await back(got, sent);
    assert.deepEqual(got, messages(0, sent));
    assert.deepEqual(seen, ["upgrading", "upgrade"]);
    engine.close();
  }
});

test("a close with messages to send lets them go first", async (t) => {
  for (const transports of [["polling"], ["websocket"], ["polling", "websocket"]]) {
    const { engine } = await dial(t, { transports });
    for (const m of messages(0, 20)) engine.send(m);
    let flushed = false;
    engine.on("flush", () => (flushed = true));
    engine.close();
    await eventually(() => engine.why);
    assert.deepEqual([flushed, engine.why], [true, "forced close"]);
  }
});

test("a node that ends tells who polls and who does not", async (t) => {
  const other = await Heddle.conformance();
  t.after(() => other.stop());
  const ended = ["polling", "websocket"].map(async (transport) => {
    const engine = new Engine(other.url, { transports: [transport] });
    t.after(() => engine.close());
    await new Promise((done, fail) => engine.once("open", done).once("error", fail));
    return { engine, why: new Promise((done) => engine.once("close", done)) };
  });
  const all = await Promise.all(ended);
  await other.drain();
  for (const { why } of all) assert.match(await why, /^transport (close|error)$/);
});
