// How soon a link is back after its server or network was away.
import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { Choice } from "./.out/choice.js";
import { dial } from "./.out/dial.js";
import { HeddleError } from "./.out/errors.js";
import { Link } from "./.out/link.js";
import { settings } from "./.out/options.js";
import { Tokens } from "./.out/token.js";

const options = { url: "ws://x", transports: ["websocket"] };
const CONFIG = settings({ ...options, WebSocket: class {} }).link;

/** A link whose network and clock are the test's: `up` says what becomes of a new socket. */
function setup(t, random) {
  mock.timers.enable({ apis: ["setTimeout", "Date"], now: 1_000_000 });
  t.after(() => mock.timers.reset());
  t.mock.method(Math, "random", () => random);
  const seen = { up: "open", tries: [], states: [], socket: undefined };
  class Socket {
    constructor() {
      seen.socket = this;
      seen.tries.push(Date.now());
      const up = seen.up;
      if (up === "refuse") queueMicrotask(() => this.onclose({ code: 1006, reason: "" }));
      if (up === "open") queueMicrotask(() => this.onopen({}));
    }
    send() {
      if (!seen.deaf) link.established(0);
    }
    close() {}
  }
  const config = settings({ ...options, WebSocket: Socket });
  const link = new Link(CONFIG, {
    choice: new Choice(config.choice), dial: (...args) => dial(config.dial, ...args),
    tokens: new Tokens("token"), opening: () => ({ type: "event" }), received() {}, heard() {}, ended() {}, troubled() {},
    changed: (state, _, retryInMs) => seen.states.push(retryInMs === undefined ? state : `${state} ${retryInMs}`), failed: (error) => assert.ok(error instanceof HeddleError && seen.gone, error.message),
  });
  const settle = async () => {
    for (let i = 0; i < 20; i++) await null;
  };
  const pass = async (ms) => {
    for (const end = Date.now() + ms; Date.now() < end; ) {
      mock.timers.tick(Math.min(10, end - Date.now()));
      await settle();
    }
  };
  t.after(() => link.stop());
  return { link, seen, settle, pass, lose: () => seen.socket.onclose({ code: 1006, reason: "" }) };
}

for (const tries of [1, 2, 4, 6, 8, 10, 14]) {
  test(`a link is back soon after its server is, which came up right behind ${tries} tries, however the dice fall`, async (t) => {
    const { link, seen, settle, pass, lose } = setup(t, 1);
    link.connect();
    await settle();
    assert.equal(link.state, "active");
    await pass(CONFIG.stableMs);
    seen.up = "refuse";
    lose();
    const lost = Date.now();
    while (seen.tries.length < 1 + tries) await pass(10);
    seen.up = "open";
    const back = Date.now();
    while (link.state !== "active") await pass(10);
    const late = Date.now() - back;
    const most = Math.min(10_000, (back - lost) / 2 + CONFIG.backoffBaseMs) + 50;
    assert.ok(late <= most, `back ${late} ms behind a server that was away for ${back - lost} ms`);
  });
}

test("a link tries at once when the network is back, whatever it was waiting for", async (t) => {
  const { link, seen, settle, pass, lose } = setup(t, 1);
  link.connect();
  await settle();
  seen.up = "refuse";
  lose();
  await pass(30_000);
  seen.up = "open";
  link.wake();
  await pass(1);
  assert.equal(link.state, "active");
});

test("a try that began while the network was away is not waited for when it is back", async (t) => {
  const { link, seen, settle, pass, lose } = setup(t, 1);
  link.connect();
  await settle();
  seen.up = "hang"; // packets go nowhere, and nobody says so
  lose();
  await pass(1500);
  assert.equal(link.state, "connecting");
  seen.up = "open";
  link.restored();
  await pass(1);
  assert.equal(link.state, "active");
  const tries = seen.tries.length;
  link.restored(); // there is nothing to try again
  await pass(1);
  assert.deepEqual([link.state, seen.tries.length], ["active", tries]);
});

test("a link that is held stays away when the network is back", async (t) => {
  const { link, seen, settle, pass } = setup(t, 1);
  link.connect();
  await settle();
  link.hold();
  const tries = seen.tries.length;
  link.wake();
  link.restored();
  await pass(1000);
  assert.deepEqual([link.state, seen.tries.length], ["waiting", tries]);
});

test("a link that is held while it waits says that there will be no next try", async (t) => {
  const { link, seen, settle, lose } = setup(t, 1);
  link.connect();
  await settle();
  seen.up = "refuse";
  lose();
  link.hold();
  link.hold();
  assert.deepEqual(seen.states, ["connecting", "syncing", "active", "waiting 500", "waiting"]);
});

test("who was replaced by an opening of its own, that was given up, comes back once", async (t) => {
  const { link, seen, settle, pass } = setup(t, 0);
  seen.deaf = true; // the opening is not answered
  link.connect();
  await settle();
  assert.equal(link.state, "syncing");
  await pass(CONFIG.handshakeMs - 20);
  seen.deaf = false;
  await pass(100);
  assert.equal(link.state, "active");
  seen.socket.onclose({ code: 4406, reason: "session_replaced" });
  await pass(100);
  assert.equal(link.state, "active");
  seen.gone = true;
  seen.socket.onclose({ code: 4406, reason: "session_replaced" });
  await settle();
  assert.equal(link.state, "closed");
});
