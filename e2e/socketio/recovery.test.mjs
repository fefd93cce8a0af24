// Connection state recovery with the unmodified socket.io-client: whoever is told that nothing was lost has
// everything, once.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { eventually, Heddle, wait } from "./node.mjs";
import { newRoom, Person, together, transports } from "./people.mjs";
import { Wire } from "./wire.mjs";

let node;
const token = (user) => node.token(user);
before(async () => {
  node = await Heddle.dev();
});
after(() => node?.stop());

/** Ann, whose network can be cut, and bob, whose can not. */
async function annAndBob(t, list) {
  const wire = await Wire.to(node.port);
  t.after(() => wire.stop());
  const ann = await new Person(t, wire.url, { user: "ann", token, transports: list }).connected();
  const bob = await new Person(t, node.url, { user: "bob", token }).connected();
  return { ann, bob, wire };
}

async function say(person, room, ...texts) {
  for (const text of texts) await person.say(room, text);
}

for (const [name, list] of Object.entries(transports)) {
  test(`drops over ${name}, one after the other`, async (t) => {
    const { ann, bob, wire } = await annAndBob(t, list);
    const room = await together([bob, ann]);
    const said = [];
    const more = async (...texts) => {
      said.push(...texts);
      await say(bob, room, ...texts);
    };
    const { id } = ann.socket;
    for (let drop = 1; drop <= 4; drop++) {
      wire.cut();
      await eventually(() => !ann.socket.connected);
      await more(`away ${drop}`, `still away ${drop}`);
      wire.mend();
      await ann.connected(drop + 1);
      assert.deepEqual(await ann.hears(room, said.length), said);
      if (drop % 2) continue; // the next one comes with the same offset, or with another
      await more(`back ${drop}`);
      await ann.hears(room, said.length);
    }
    await more("end");
    assert.deepEqual(await ann.hears(room, said.length), said);
    assert.deepEqual(ann.recovered, [false, true, true, true, true]);
    assert.equal(ann.socket.id, id);
  });
}

test("nothing had come before the engine was torn, and then again", async (t) => {
  const room = newRoom("channel");
  const { ann, bob } = await annAndBob(t);
  await ann.emit("room:join", {}, { room });
  await bob.emit("room:join", {}, { room });
  for (const times of [2, 3]) {
    await ann.upgraded(); // a close waits for the upgrade that is under way
    ann.drop();
    await bob.say(room, `missed ${times}`);
    await ann.connected(times);
    // The client itself repeats what comes in the very moment of its close.
    await ann.hears(room, times - 1);
  }
  await bob.say(room, "end");
  assert.deepEqual(await ann.hears(room, 3), ["missed 2", "missed 3", "end"]);
  assert.deepEqual(ann.recovered, [false, true, true]);
});

test("a flood in another room, with the network away for seconds", async (t) => {
  const { ann, bob, wire } = await annAndBob(t);
  const quiet = await together([bob, ann]);
  const loud = await together([bob, ann]);
  await say(bob, quiet, "one");
  await ann.hears(quiet, 1);
  wire.cut();
  const over = wait(3000); // the time is what is tested
  const flood = Array.from({ length: 300 }, (_, i) => `flood ${i}`);
  await Promise.all(flood.slice(0, 80).map((text) => bob.say(loud, text)));
  await say(bob, quiet, "two");
  await over;
  wire.mend();
  await ann.connected(2);
  await say(bob, quiet, "three");
  assert.deepEqual(await ann.hears(quiet, 3), ["one", "two", "three"]);
  assert.deepEqual((await ann.hears(loud, 80)).sort(), flood.slice(0, 80).sort());
  assert.deepEqual(ann.recovered, [false, true]);
});

test("what was emitted while away is sent when the client is back", async (t) => {
  const { ann, bob, wire } = await annAndBob(t);
  const room = await together([bob, ann]);
  wire.cut();
  await eventually(() => !ann.socket.connected);
  const acks = ["a", "b", "c"].map((text) => ann.say(room, text));
  wire.mend();
  await Promise.all(acks);
  assert.deepEqual(await bob.hears(room, 3), ["a", "b", "c"]);
  assert.deepEqual(ann.recovered, [false, true]);
});

test("the node is killed and started again", async (t) => {
  const { ann, bob, wire } = await annAndBob(t);
  const room = newRoom("channel");
  await ann.emit("room:join", {}, { room });
  await bob.emit("room:join", {}, { room });
  await say(bob, room, "one", "two");
  await ann.hears(room, 2);
  for (let times = 2; times <= 3; times++) {
    wire.cut();
    await node.kill();
    await node.up();
    await bob.connected(times);
    await bob.say(room, `after restart ${times}`);
    wire.mend();
    await ann.connected(times);
    await ann.hears(room, times + 1);
  }
  await bob.say(room, "end");
  assert.deepEqual(await ann.hears(room, 5), ["one", "two", "after restart 2", "after restart 3", "end"]);
  assert.deepEqual(ann.recovered, [false, true, true]);
  assert.deepEqual(bob.texts(room), ann.texts(room));
});

test("the node is drained and started again", async (t) => {
  const people = await Promise.all(Object.values(transports).map((list, i) =>
    new Person(t, node.url, { user: `user${i}`, token, transports: list }).connected()));
  const room = await together(people);
  await say(people[0], room, "before");
  for (const p of people) await p.hears(room, 1);
  await node.drain();
  await node.up();
  for (const p of people) await p.connected(2);
  await say(people[1], room, "after");
  for (const p of people) {
    assert.deepEqual(await p.hears(room, 2), ["before", "after"]);
    assert.deepEqual(p.recovered, [false, true], `${p.user}: ${p.gone}`);
  }
});

test("a state that is not there any more is not recovered", async (t) => {
  const { ann, bob } = await annAndBob(t);
  const room = await together([bob, ann]);
  await say(bob, room, "one");
  await ann.hears(room, 1);
  // Its session is over for good; the client still has its pid and offset.
  ann.socket.disconnect();
  await say(bob, room, "two");
  ann.socket.connect();
  await ann.connected(2);
  await say(bob, room, "three");
  assert.deepEqual(await ann.hears(room, 2), ["one", "three"]);
  assert.deepEqual(ann.recovered, [false, false]);
  const { data } = await ann.emit("room:history", {}, { room });
  assert.equal(data.events.filter((e) => (e.payload?.action ?? e.action) === "message:send").length, 3);
});

test("somebody else does not get a state by its id", async (t) => {
  const { ann } = await annAndBob(t);
  const eve = await new Person(t, node.url, { user: "eve", token }).connected();
  const room = await together([ann]);
  await say(ann, room, "secret");
  await ann.hears(room, 1);
  eve.socket._pid = ann.socket._pid;
  eve.socket._lastOffset = ann.socket._lastOffset;
  eve.drop();
  await eventually(() => eve.recovered.length > 1 || eve.refused.some((err) => err.data));
  assert.ok(!eve.recovered.slice(1).includes(true));
  assert.deepEqual(eve.texts(room), []);
  await say(ann, room, "more");
  assert.deepEqual(await ann.hears(room, 2), ["secret", "more"]);
  assert.deepEqual(ann.recovered, [false]);
});
