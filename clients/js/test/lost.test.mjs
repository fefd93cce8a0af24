// A session that is lost again before the client has caught up: each answer of the server is written out.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Session } from "./.out/session.js";
import { Streams } from "./.out/streams.js";

const room = "channel:9";
const event = (offset, epoch = "e1") => ({ type: "message", room, epoch, offset, payload: { action: "a", data: {} } });
const state = (offset, epoch = "e1") => ({ room, epoch, offset, unread: 0, read_offset: 0 });
const page = (first, last, more, epoch = "e1") => ({ epoch, more, events: Array.from({ length: last - first + 1 }, (_, i) => event(first + i, epoch)) });
const settled = () => new Promise((done) => setImmediate(done));

function client() {
  const got = [];
  const lost = [];
  const asked = [];
  const streams = new Streams({ hold: 4, gapMs: 10, catchUp: 1000 }, {
    deliver: (m) => got.push(m.offset),
    moved: () => {},
    history: (_, after) => new Promise((answer) => asked.push({ after, answer })),
    lost: ({ reason, from, to }) => lost.push([reason, from?.offset, to?.offset]),
  });
  const session = new Session({ device: undefined, attributes: undefined, acks: false }, streams, [room]);
  const opened = (rooms, more = {}) => session.opened({ session: "s", resume_token: "t", rooms, ...more });
  return { got, lost, asked, streams, session, opened };
}

const missing = (reason) => ({ recovered: false, reason: "positions_lost", lost: [{ room, reason }] });

test("behind a gap, a second resume begins where the live events followed from", () => {
  for (const [reason, epoch] of [["trimmed", "e1"], ["epoch", "e2"], ["ahead", "e1"]]) {
    const { lost, streams, session, opened } = client();
    opened([state(20)]);
    streams.pause();
    opened([state(12, epoch)], missing(reason));
    streams.pause();
    assert.deepEqual(session.opening().payload.data.positions, { [room]: { epoch, offset: 12 } }, reason);
    assert.deepEqual(lost, [[reason, 20, 12]]);
  }
});

test("behind a gap, a new session reads what followed from history", async () => {
  const { got, lost, asked, streams, session, opened } = client();
  opened([state(5)]);
  streams.pause();
  opened([state(12)], missing("trimmed"));
  streams.pause();
  session.forget();
  opened([state(14)]);
  assert.equal(asked[0].after, 12);
  asked[0].answer(page(13, 14, false));
  await settled();
  assert.deepEqual(got, [13, 14]);
  assert.deepEqual(lost, [["trimmed", 5, 12]]);
});

test("a room without a position is replayed, though another was lost", () => {
  const { got, streams, opened } = client();
  opened([state(5), { ...state(3), room: "conv:1" }]);
  streams.stop(room); // added to again while away: the server knows from where
  streams.pause();
  opened([state(8), { ...state(9), room: "conv:1" }], { recovered: false, reason: "positions_lost", lost: [{ room: "conv:1", reason: "trimmed" }] });
  for (const offset of [7, 8, 9]) streams.accept(event(offset));
  assert.deepEqual(got, [7, 8, 9]);
});

test("a second new session moves the end of the catching up", async () => {
  const { got, lost, asked, streams, session, opened } = client();
  opened([state(0)]);
  streams.pause();
  session.forget();
  opened([state(3)]);
  streams.pause();
  session.forget();
  opened([state(6)]);
  asked[0].answer(page(1, 3, true));
  await settled();
  asked[1]?.answer(page(4, 6, false));
  await settled();
  assert.deepEqual(got, [1, 2, 3, 4, 5, 6]);
  assert.deepEqual(lost, []);
});

test("an event that was refused while history was read is read too", async () => {
  const { got, asked, streams, opened } = client();
  opened([state(0)]);
  for (const offset of [2, 3, 4, 5, 6]) streams.accept(event(offset)); // one more than may be held
  streams.accept(event(8));
  asked[0].answer(page(1, 6, true));
  await settled();
  asked[1]?.answer(page(7, 8, false));
  await settled();
  assert.deepEqual(got, [1, 2, 3, 4, 5, 6, 7, 8]);
});

test("the end of history is not the end of what was asked for meanwhile", async () => {
  const { got, lost, asked, streams, opened } = client();
  opened([state(0)]);
  for (const offset of [2, 3, 4, 5, 6]) streams.accept(event(offset));
  asked[0].answer(page(1, 6, false));
  streams.accept(event(8)); // in the frame of the answer, before it is looked at
  await settled();
  asked[1]?.answer(page(7, 8, false));
  await settled();
  assert.deepEqual([got, lost], [[1, 2, 3, 4, 5, 6, 7, 8], []]);
});

test("a page of a life that is over is not counted against the next one", async () => {
  const { got, lost, asked, streams, opened } = client();
  opened([state(5)]);
  opened([state(9)]);
  streams.accept(event(1, "e2"));
  asked[0].answer(page(6, 9, false, "e1"));
  await settled();
  streams.accept(event(2, "e2"));
  assert.deepEqual([got, lost], [[1, 2], []]);
});
