import assert from "node:assert/strict";
import { test } from "node:test";
import { Stream } from "./.out/stream.js";

const event = (offset, epoch = "e1") => ({ type: "message", room: "r", epoch, offset, payload: { action: "a", data: {} } });

const cases = [
  { name: "in order", at: 0, in: [1, 2, 3], out: [1, 2, 3] },
  { name: "repeats are dropped", at: 2, in: [1, 2, 3, 3, 2], out: [3] },
  { name: "what is ahead waits", at: 0, in: [2, 3, 1], out: [1, 2, 3] },
  { name: "two gaps", at: 0, in: [2, 4, 1, 3], out: [1, 2, 3, 4] },
  { name: "a gap that stays", at: 0, in: [1, 3, 4], out: [1] },
  { name: "held once", at: 0, in: [2, 2, 1], out: [1, 2] },
  { name: "more than may be held", at: 0, in: [2, 3, 4, 5, 6, 1], out: [1, 2, 3, 4, 5] },
];

for (const c of cases) {
  test(c.name, () => {
    const out = [];
    const stream = new Stream("r", { epoch: "e1", offset: c.at }, 4, (e) => out.push(e.offset));
    for (const offset of c.in) stream.accept(event(offset));
    assert.deepEqual(out, c.out);
  });
}

test("a new epoch starts over, and the old one is past", () => {
  const out = [];
  const stream = new Stream("r", { epoch: "e1", offset: 7 }, 4, (e) => out.push(e.epoch + e.offset));
  assert.equal(stream.accept(event(1, "e2")), "delivered");
  assert.equal(stream.accept(event(8, "e1")), "repeat");
  assert.deepEqual(out, ["e21"]);
});

test("a page of history skips offsets that it leaves out", () => {
  const out = [];
  const stream = new Stream("r", { epoch: "e1", offset: 0 }, 4, (e) => out.push(e.offset));
  stream.accept(event(6));
  stream.fill([event(1), event(3), event(5)], 0);
  assert.deepEqual(out, [1, 3, 5, 6]);
});

test("a page that begins ahead of the position is not taken", () => {
  const out = [];
  const stream = new Stream("r", { epoch: "e1", offset: 0 }, 4, (e) => out.push(e.offset));
  stream.fill([event(11)], 10);
  assert.deepEqual(out, []);
});

test("any order and any repeats give each event once, in order", () => {
  let seed = 42;
  const random = (n) => (seed = (seed * 1103515245 + 12345) % 2 ** 31) % n;
  for (let round = 0; round < 200; round++) {
    const out = [];
    const stream = new Stream("r", { epoch: "e1", offset: 0 }, 64, (e) => out.push(e.offset));
    const wire = Array.from({ length: 30 }, (_, i) => i + 1);
    for (let i = 0; i < 10; i++) wire.push(1 + random(30));
    for (let i = wire.length - 1; i > 0; i--) {
      const j = random(i + 1);
      [wire[i], wire[j]] = [wire[j], wire[i]];
    }
    for (const offset of wire) stream.accept(event(offset));
    assert.deepEqual(out, Array.from({ length: 30 }, (_, i) => i + 1));
  }
});

test("the first of many that wait", () => {
  const many = 200_000;
  const stream = new Stream("r", { epoch: "e1", offset: 0 }, many, () => {});
  assert.equal(stream.firstHeld, undefined);
  for (let n = many; n > 2; n--) stream.accept(event(n));
  assert.equal(stream.firstHeld, 3);
  stream.jump({ epoch: "e1", offset: 2 }); // what follows is let go
  assert.equal(stream.firstHeld, undefined);
  for (const offset of [many + 9, many + 5]) stream.accept(event(offset));
  stream.accept(event(many + 1));
  assert.equal(stream.firstHeld, many + 5);
  stream.jump({ epoch: "e1", offset: many + 6 });
  assert.equal(stream.firstHeld, many + 9);
  stream.forgetHeld();
  stream.accept(event(many + 20));
  assert.equal(stream.firstHeld, many + 20);
});
