import assert from "node:assert/strict";
import { test } from "node:test";
import { Timeline } from "./.out/timeline.js";

const room = "conv:1";
const epoch = "e1";

const message = (offset, action, data, from = "ann", more = {}) => ({
  type: "message", id: `id${offset}`, timestamp: 1000 + offset, room, epoch, offset,
  from: from && { user: from, device: "web" }, payload: { action, data }, ...more,
});
const send = (offset, text, more) => message(offset, "message:send", { text }, "ann", more);
const edit = (offset, target, version, text) => message(offset, "message:edit", { offset: target, version, text });
const react = (offset, target, key, user, remove) =>
  message(offset, "message:react", { offset: target, key, ...(remove && { remove }) }, user);
const remove = (offset, target, user = "ann") => message(offset, "message:delete", { offset: target }, user);

/** What is shown, briefly. */
const shown = (timeline) => timeline.entries().map((e) => {
  switch (e.kind) {
    case "message": {
      const reactions = Object.entries(e.reactions).map(([key, r]) => `${key}${r.count}${r.me ? "!" : ""}`).join(" ");
      return `${e.offset} ${e.content.text} v${e.version}${reactions && ` ${reactions}`}`;
    }
    case "deleted": return `${e.offset} deleted ${e.forMe ? "for me" : `by ${e.by}`}`;
    case "gap": return `${e.offset} to ${e.to} missing`;
    default: return `${e.offset} ${e.message.payload.action}`;
  }
});

const of = (...events) => {
  const timeline = new Timeline(room, "ann");
  for (const event of events) timeline.take(event);
  return timeline;
};

const life = [
  message(1, "room:create", { members: ["ann", "bob"] }), send(2, "one"), send(3, "two"), react(4, 2, "+", "bob"), edit(5, 2, 1, "uno"),
  react(6, 2, "+", "ann"), edit(7, 2, 2, "eins"), react(8, 2, "+", "bob", true), send(9, "three"), remove(10, 3),
];
const want = ["1 room:create", "2 eins v2 +1!", "3 deleted by ann", "9 three v0"];

// The same life as history tells it to ann once all of it has happened.
const history = (asOf = 10) => [
  life[0],
  message(2, "message:send", { text: "eins", edited: { version: 2, at: 1007 }, reactions: { "+": { count: 1, users: ["ann"], me: true } } }),
  message(3, "event:redacted", { by: "ann", at: 1010 }, undefined),
  life[3], message(5, "event:redacted", {}, undefined), ...life.slice(5),
].map((e) => ({ ...e, as_of: asOf }));

test("live events are folded", () => assert.deepEqual(shown(of(...life)), want));

test("attributes are those of the newest content", () => {
  const attributes = (timeline) => timeline.at(2).content.attributes;
  const sent = message(2, "message:send", { text: "one", attributes: { lang: "en" } });
  const edited = message(3, "message:edit", { offset: 2, version: 1, text: "un", attributes: { lang: "fr" } });
  assert.deepEqual(attributes(of(sent)), { lang: "en" });
  assert.deepEqual(attributes(of(sent, edited)), { lang: "fr" });
  assert.equal(attributes(of(sent, edited, edit(4, 2, 2, "1"))), undefined);
  const later = message(2, "message:send", { text: "un", edited: { version: 1, at: 1003 }, attributes: { lang: "fr" } }, "ann", { as_of: 3 });
  assert.deepEqual(attributes(of(sent, edited, later)), { lang: "fr" });
});

test("history is shown as it is", () => assert.deepEqual(shown(of(...history())), want));

test("a page over live events, and live events over a page", () => {
  assert.deepEqual(shown(of(...life, ...history())), want);
  assert.deepEqual(shown(of(...history(), ...life)), want);
});

test("a page that is read later brings changes that never came", () => {
  assert.deepEqual(shown(of(life[1], life[2], ...history().slice(1, 3))), ["2 eins v2 +1!", "3 deleted by ann"]);
});

test("events that come again, or with what is newer, change nothing", () => {
  assert.deepEqual(shown(of(...life, ...life)), want);
  const timeline = of(...life);
  const before = timeline.entries();
  for (const event of life) assert.equal(timeline.take(event), false);
  assert.equal(timeline.entries(), before);
});

test("any order, any mix of live events and pages gives the same", () => {
  let seed = 7;
  const random = (n) => (seed = (seed * 48_271) % 2_147_483_647) % n;
  for (let round = 0; round < 500; round++) {
    const asOf = 1 + random(10);
    // A page that was read when only so much was sure to be in it; the rest came live, perhaps before the page.
    const events = [...history(asOf), ...life.filter((e) => e.offset > asOf - random(3))];
    for (let i = events.length - 1; i > 0; i--) {
      const j = random(i + 1);
      [events[i], events[j]] = [events[j], events[i]];
    }
    assert.deepEqual(shown(of(...events)), want, `round ${round}`);
  }
});

test("a resume replays what is gone without content", () => {
  const gone = (offset) => message(offset, "event:redacted", {}, undefined);
  const replay = [life[0], life[1], gone(3), life[3], gone(5), ...life.slice(5)];
  assert.deepEqual(shown(of(...replay)), want);
});

test("only the newest version counts", () => {
  assert.deepEqual(shown(of(send(1, "a"), edit(3, 1, 2, "c"), edit(2, 1, 1, "b"))), ["1 c v2"]);
});

test("what changes a message that is not known yet waits for it", () => {
  const timeline = of(edit(5, 2, 1, "uno"), react(6, 2, "+", "bob"), remove(7, 3));
  assert.deepEqual(shown(timeline), []);
  timeline.fill({ events: [send(2, "one", { as_of: 4 }), send(3, "two", { as_of: 4 }), send(4, "x", { as_of: 4 })], epoch, more: false });
  assert.deepEqual(shown(timeline), ["2 uno v1 +1", "3 deleted by ann", "4 x v0"]);
});

test("changes of messages that never come are bounded", () => {
  const timeline = new Timeline(room, "ann");
  for (let i = 0; i < 2000; i++) timeline.take(edit(10_000 + i, i + 1, 1, "edited"));
  for (let i = 0; i < 2000; i++) timeline.take(send(i + 1, "sent"));
  assert.equal(timeline.entries().filter((e) => e.version === 1).length, 500);
});

test("reactions of more users than are named are counted", () => {
  const users = Array.from({ length: 10 }, (_, i) => `u${i}`);
  const told = (asOf) => message(2, "message:send", { text: "x", reactions: { "+": { count: 15, users, me: true } } }, "bob", { as_of: asOf });
  const first = (...events) => shown(of(...events))[0];
  assert.equal(first(told(30), react(20, 2, "+", "zoe")), "2 x v0 +15!", "the page has it");
  assert.equal(first(told(30), react(31, 2, "+", "zoe")), "2 x v0 +16!", "it came later");
  assert.equal(first(told(30), react(31, 2, "+", "ann"), react(32, 2, "+", "u3")), "2 x v0 +15!", "known already");
  assert.equal(first(told(30), react(31, 2, "+", "ann", true)), "2 x v0 +14", "one's own, not named");
  assert.equal(first(told(30), react(31, 2, "+", "zoe", true)), "2 x v0 +14!", "somebody's, not named");
});

test("the last reaction that is taken away is gone, whatever its name", () => {
  const timeline = of(send(1, "x"), react(2, 1, "__proto__", "bob"), react(3, 1, "+", "bob"));
  assert.deepEqual(Object.keys(timeline.at(1).reactions), ["__proto__", "+"]);
  timeline.take(react(4, 1, "__proto__", "bob", true));
  timeline.take(react(5, 1, "+", "bob", true));
  assert.deepEqual(Object.keys(timeline.at(1).reactions), []);
});

test("an entry is replaced when it changes, and only then", () => {
  const timeline = of(send(1, "a"), send(2, "b"));
  const [a, b] = timeline.entries();
  timeline.take(react(3, 1, "+", "bob"));
  const [changed, same] = timeline.entries();
  assert.notEqual(changed, a);
  assert.equal(same, b);
  assert.deepEqual(Object.keys(a.reactions), []);
});

test("hidden for the user alone, told in the user's own room", () => {
  const hide = (data) => ({ ...message(1, "message:delete", { for: "me", room, epoch, ...data }), room: "user:ann" });
  const timeline = of(send(1, "a"), send(2, "b"), hide({ offset: 1 }), hide({ offset: 2, room: "conv:2" }), hide({ offset: 2, epoch: "e0" }));
  assert.deepEqual(shown(timeline), ["1 deleted for me", "2 b v0"]);
});

test("gaps are told; other rooms and unknown actions do no harm", () => {
  const timeline = of(send(1, "a"), send(5, "b"), { ...send(6, "c"), room: "conv:2" }, message(6, "poll:open", { q: 1 }));
  assert.deepEqual(shown(timeline), ["1 a v0", "2 to 4 missing", "5 b v0", "6 poll:open"]);
  assert.deepEqual([timeline.oldest, timeline.newest], [1, 6]);
});

test("an expired message is left out in time", () => {
  const timeline = of(send(1, "a", { expires_at: 5000 }));
  assert.equal(timeline.entries(4999).length, 1);
  assert.equal(timeline.entries(5000).length, 0);
});

test("a new life of the room begins empty", () => {
  const timeline = of(send(1, "a"), edit(2, 1, 1, "b"), { ...send(1, "new"), epoch: "e2" });
  assert.deepEqual(shown(timeline), ["1 new v0"]);
});

test("pages are read from the newest to the oldest", async () => {
  const all = Array.from({ length: 7 }, (_, i) => send(i + 1, String(i + 1), { as_of: 7 }));
  const history = async (name, { before = 8, limit }) => {
    assert.equal(name, room);
    const older = all.filter((e) => e.offset < before);
    return { events: older.slice(-limit), epoch, more: older.length > limit };
  };
  const timeline = new Timeline(room, "ann");
  assert.equal(await timeline.load(history, 3), true);
  assert.deepEqual(timeline.entries().map((e) => e.offset), [5, 6, 7]);
  assert.equal(await timeline.load(history, 3), true);
  assert.equal(await timeline.load(history, 3), false);
  assert.deepEqual(timeline.entries().map((e) => e.offset), [1, 2, 3, 4, 5, 6, 7]);
});

test("the ends of a long timeline", () => {
  const timeline = new Timeline(room, "ann");
  assert.deepEqual([timeline.oldest, timeline.newest], [0, 0]);
  const many = 200_000;
  for (let n = 2; n <= many; n++) timeline.take(send(n, "x"));
  timeline.take(send(1, "x"));
  assert.deepEqual([timeline.oldest, timeline.newest], [1, many]);
  timeline.reset();
  assert.deepEqual([timeline.oldest, timeline.newest], [0, 0]);
});
