import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { Backoff } from "./.out/backoff.js";
import { closeAction } from "./.out/closecodes.js";
import { Emitter } from "./.out/emitter.js";
import { Heartbeat } from "./.out/heartbeat.js";
import { Outbox } from "./.out/outbox.js";

test("backoff: full jitter up to the cap", () => {
  const top = new Backoff(500, 20_000, () => 1);
  assert.deepEqual([1, 2, 3, 4, 5, 6, 7, 8].map(() => top.next()), [500, 1000, 2000, 4000, 8000, 16_000, 20_000, 20_000]);
  top.reset();
  assert.equal(top.next(), 500);
  assert.equal(new Backoff(500, 20_000, () => 0).next(), 0);
});

test("backoff: the growth can be chosen", () => {
  const top = new Backoff(400, 1000, () => 1, 1.5);
  assert.deepEqual([1, 2, 3, 4].map(() => top.next()), [400, 600, 900, 1000]);
});

test("close codes", () => {
  const want = {
    1000: "stop", 1001: "resume", 1002: "stop", 1003: "stop", 1005: "resume", 1006: "resume", 1007: "stop", 1009: "stop", 1010: "stop",
    1011: "resume", 1012: "resume", 1013: "resume", 1014: "resume", 4000: "resume", 4099: "resume", 4100: "reopen", 4199: "reopen",
    4200: "stop", 4400: "stop", 4401: "stop", 4402: "token", 4406: "stop", 4499: "stop",
  };
  for (const [code, action] of Object.entries(want)) assert.equal(closeAction(Number(code)), action, code);
});

test("a listener can be registered twice and removed once", () => {
  const emitter = new Emitter();
  let calls = 0;
  const listener = () => calls++;
  const off = emitter.on("a", listener);
  emitter.on("a", listener);
  off();
  off();
  emitter.emit("a", 1);
  assert.equal(calls, 1);
});

function clock(t) {
  mock.timers.enable({ apis: ["setTimeout", "Date"] });
  t.after(() => mock.timers.reset());
}

test("heartbeat: silence, probe, death", (t) => {
  clock(t);
  const seen = [];
  const heartbeat = new Heartbeat(() => seen.push("probe"), () => seen.push("dead"), 5000);
  heartbeat.start(10_000);
  mock.timers.tick(14_999);
  assert.deepEqual(seen, []);
  mock.timers.tick(1);
  assert.deepEqual(seen, ["probe"]);
  mock.timers.tick(5000);
  assert.deepEqual(seen, ["probe", "dead"]);
});

test("heartbeat: an answer keeps the connection", (t) => {
  clock(t);
  const seen = [];
  const heartbeat = new Heartbeat(() => seen.push("probe"), () => seen.push("dead"), 5000);
  heartbeat.start(10_000);
  mock.timers.tick(10_000);
  heartbeat.heard();
  mock.timers.tick(14_000);
  assert.deepEqual(seen, []);
  mock.timers.tick(1000);
  heartbeat.heard();
  mock.timers.tick(5000);
  assert.deepEqual(seen, ["probe"]);
  heartbeat.stop();
});

const config = { timeoutMs: 1000, retries: 2, limit: 3, window: 2, idempotencyMs: 60_000 };

function outbox(over = {}) {
  const sent = [];
  const box = new Outbox({ ...config, ...over }, { write: (json) => sent.push(JSON.parse(json)) > 0, suspect() {} });
  const answer = (id, data = {}) => box.settle({ type: "ack", ref: id, payload: { action: "x", data } });
  const refuse = (id, data) => box.settle({ type: "error", ref: id, payload: { action: "x", data } });
  return { box, sent, answer, refuse, ids: () => sent.map((e) => e.id) };
}

const failure = (promise) => promise.then(() => assert.fail("resolved"), (error) => error.code);

test("outbox: waits while closed, keeps order, respects the window", async () => {
  const { box, answer, ids } = outbox();
  const all = ["a", "b", "c"].map((id) => box.request("x", "r", {}, { id }));
  assert.deepEqual(ids(), []);
  assert.equal(await failure(box.request("x", "r", {}, { id: "d" })), "queue_full");
  box.open();
  assert.deepEqual(ids(), ["a", "b"]);
  answer("a");
  assert.deepEqual(ids(), ["a", "b", "c"]);
  answer("b");
  answer("c", { ok: true });
  assert.deepEqual((await Promise.all(all))[2].data, { ok: true });
  assert.equal(box.size, 0);
});

test("outbox: repeats under the same id after a timeout, then gives up", async (t) => {
  clock(t);
  const { box, ids } = outbox();
  box.open();
  const code = failure(box.request("x", "r", {}, { id: "a" }));
  mock.timers.tick(1000);
  mock.timers.tick(1000);
  assert.deepEqual(ids(), ["a", "a", "a"]);
  mock.timers.tick(1000);
  assert.equal(await code, "ack_timeout");
});

test("outbox: sends again after a reconnect, but not what must not be repeated", async () => {
  const { box, ids } = outbox();
  box.open();
  const kept = box.request("x", "r", {}, { id: "a" });
  const lost = failure(box.request("x", "r", {}, { id: "b", retries: 0 }));
  box.pause();
  assert.equal(await lost, "connection_lost");
  box.open();
  assert.deepEqual(ids(), ["a", "b", "a"]);
  box.settle({ type: "ack", ref: "a", offset: 3, payload: { action: "x" } });
  assert.equal((await kept).offset, 3);
});

test("outbox: retryable errors wait as told; others reject", async (t) => {
  clock(t);
  const { box, answer, refuse, ids } = outbox();
  box.open();
  const later = box.request("x", "r", {}, { id: "a" });
  const never = failure(box.request("x", "r", {}, { id: "b" }));
  refuse("a", { code: "rate_limited", retryable: true, retry_after_ms: 700 });
  refuse("b", { code: "forbidden", retryable: false });
  assert.equal(await never, "forbidden");
  mock.timers.tick(699);
  assert.deepEqual(ids(), ["a", "b"]);
  mock.timers.tick(1);
  assert.deepEqual(ids(), ["a", "b", "a"]);
  answer("a");
  await later;
});

test("outbox: who asked is asked before a refused request waits", async (t) => {
  clock(t);
  const { box, answer, refuse, ids } = outbox();
  const asked = [];
  const retry = (error, waitMs) => asked.push([error.code, error.message, waitMs]) === 1;
  box.open();
  const refused = box.request("x", "r", {}, { id: "a", retry });
  refuse("a", { code: "overloaded", message: "busy", retryable: true, retry_after_ms: 300 });
  mock.timers.tick(300);
  assert.deepEqual(ids(), ["a", "a"]);
  refuse("a", { code: "rate_limited", message: "slow mode", retryable: true, retry_after_ms: 30_000 });
  assert.equal(await failure(refused), "rate_limited");
  assert.deepEqual(asked, [["overloaded", "busy", 300], ["rate_limited", "slow mode", 30_000]]);
  const never = box.request("x", "r", {}, { id: "b", retry });
  refuse("b", { code: "forbidden", message: "no", retryable: false });
  assert.equal(await failure(never), "forbidden");
  assert.equal(asked.length, 2, "nothing to ask where nothing would be repeated");
  mock.timers.tick(60_000);
  assert.equal(box.size, 0);
  const again = box.request("x", "r", {}, { id: "a" }); // the same id, later and by hand
  answer("a");
  await again;
});

test("outbox: what was sent too long ago is not sent twice", async (t) => {
  clock(t);
  mock.timers.setTime(1_000_000);
  const { box } = outbox();
  box.open();
  const old = failure(box.request("message:send", "r", {}, { id: "a" }));
  const safe = box.request("room:history", "r", {}, { id: "b" });
  box.pause();
  mock.timers.tick(60_001);
  box.open();
  assert.equal(await old, "outcome_unknown");
  box.settle({ type: "ack", ref: "b", payload: { action: "x" } });
  await safe;
});

test("outbox: closing rejects everything", async () => {
  const { box } = outbox();
  const code = failure(box.request("x", "r", {}));
  box.failAll("closed", "the end");
  assert.equal(await code, "closed");
});

test("outbox: what waits for too long is given up, and says whether it was sent", async (t) => {
  clock(t);
  const { box, ids, answer } = outbox();
  const unsent = failure(box.request("x", "r", {}, { id: "a", expiry: 500 }));
  const kept = box.request("x", "r", {}, { id: "b" });
  mock.timers.tick(500);
  assert.equal(await unsent, "queue_expired");
  box.open();
  const sent = failure(box.request("x", "r", {}, { id: "c", expiry: 500 }));
  mock.timers.tick(500);
  assert.equal(await sent, "outcome_unknown");
  assert.deepEqual(ids(), ["b", "c"]);
  answer("b");
  await kept;
  assert.equal(box.size, 0);
});

test("outbox: nothing leaves while it is held, and what was sent is waited for", async (t) => {
  clock(t);
  const { box, ids, answer } = outbox();
  box.open();
  const first = box.request("x", "r", {}, { id: "a" });
  let quiet = false;
  void box.hold(2000).then(() => (quiet = true));
  const second = box.request("x", "r", {}, { id: "b" });
  await null;
  assert.deepEqual([quiet, ids()], [false, ["a"]]);
  answer("a");
  await first;
  await null;
  assert.deepEqual([quiet, ids()], [true, ["a"]]);
  box.release();
  assert.deepEqual(ids(), ["a", "b"]);
  answer("b");
  await second;
});

test("outbox: an answer that does not come is not waited for longer than that", async (t) => {
  clock(t);
  const { box, ids, answer } = outbox();
  box.open();
  const all = [box.request("x", "r", {}, { id: "a" }), box.request("x", "r", {}, { id: "b", retries: 0 })];
  const quiet = box.hold(200);
  mock.timers.tick(200);
  await quiet;
  box.moved();
  assert.deepEqual(ids(), ["a", "b", "a"], "only what may be is sent again, the other may still be answered");
  answer("a");
  answer("b");
  await Promise.all(all);
});
