// A link that moves from polling to a WebSocket, with connections that are the test's.
import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { Choice } from "./.out/choice.js";
import { Link } from "./.out/link.js";
import { settings } from "./.out/options.js";
import { Tokens } from "./.out/token.js";

/** A link that polls with a session, and its attempt to move: `socket` has answered, and the session is being resumed over it. */
async function moving(t) {
  mock.timers.enable({ apis: ["setTimeout", "Date"], now: 1_000_000 });
  t.after(() => mock.timers.reset());
  const config = settings({ url: "ws://x/v1/ws", WebSocket: class {}, transports: ["polling", "websocket"], storage: null });
  const seen = { states: [], received: [], ended: [], moves: [] };
  const dialled = [];
  let opening = 0;
  const link = new Link(config.link, {
    choice: new Choice(config.choice), tokens: new Tokens("t"), troubled() {}, failed: (error) => assert.fail(error), heard() {}, release() {},
    quiet: () => Promise.resolve(),
    opening: () => ({ type: "event", id: `opening ${++opening}`, payload: { action: "session:resume" } }),
    dial(transport, token, handlers) {
      const connection = { transport, handlers, written: [], dropped: false, write: (json) => (connection.written.push(JSON.parse(json)), true),
        drop: () => (connection.dropped = true), close: () => (connection.dropped = true) };
      dialled.push(connection);
      return connection;
    },
    // The client says so when the answer to an opening comes.
    received: (envelope) => (envelope.welcome ? seen.moves.push(link.established(0)) : seen.received.push(envelope.room)),
    changed: (state) => seen.states.push(state),
    ended: (code) => seen.ended.push(code),
  });
  t.after(() => link.stop());
  const settle = async () => {
    for (let i = 0; i < 20; i++) await null;
  };
  link.connect();
  await settle();
  const [poll] = dialled;
  poll.handlers.opened();
  poll.handlers.received({ type: "ack", welcome: true });
  mock.timers.tick(0);
  await settle();
  const socket = dialled[1];
  assert.deepEqual([poll.transport, socket.transport, link.transport, link.state], ["polling", "websocket", "polling", "active"]);
  socket.handlers.opened();
  assert.equal(socket.written.length, 1, "a question that has no effect");
  socket.handlers.received({ type: "error", ref: socket.written[0].id });
  await settle();
  assert.equal(socket.written[1].id, "opening 2");
  return { link, seen, poll, socket, dialled, settle };
}

const steady = ["connecting", "syncing", "active"];
const welcome = { type: "ack", welcome: true };

test("what the server said before the move still comes by the poll, but nothing of the connection itself", async (t) => {
  const { link, seen, poll, socket } = await moving(t);
  socket.handlers.received(welcome);
  assert.deepEqual([seen.moves, link.transport, poll.dropped], [[false, true], "websocket", false]);
  poll.handlers.received({ type: "event", room: "conv:1", payload: { action: "typing:update" } });
  poll.handlers.received({ type: "event", payload: { action: "session:drain" } });
  assert.deepEqual(seen.received, ["conv:1"]);
  poll.handlers.closed(4406, "session_replaced");
  assert.deepEqual([seen.states, seen.ended, poll.dropped], [steady, [], true]);
  socket.handlers.received({ type: "event", room: "conv:2", payload: {} });
  assert.deepEqual(seen.received, ["conv:1", "conv:2"]);
});

test("a poll that does not end is left after a while", async (t) => {
  const { poll, socket } = await moving(t);
  socket.handlers.received(welcome);
  mock.timers.tick(5000);
  assert.equal(poll.dropped, true);
});

test("the end of the poll may come before the welcome", async (t) => {
  const { link, seen, poll, socket } = await moving(t);
  poll.handlers.closed(4406, "session_replaced");
  assert.deepEqual([link.state, seen.ended], ["active", []]);
  socket.handlers.received(welcome);
  assert.deepEqual([link.state, link.transport, seen.states, seen.ended], ["active", "websocket", steady, []]);
});

test("if there is no welcome behind the end of the poll, the link connects anew", async (t) => {
  const { link, seen, poll, socket, dialled, settle } = await moving(t);
  poll.handlers.closed(4406, "session_replaced");
  mock.timers.tick(5000);
  assert.deepEqual([socket.dropped, seen.ended, link.state], [true, [1006], "waiting"]);
  mock.timers.tick(500);
  await settle();
  dialled[2].handlers.opened();
  dialled[2].handlers.received(welcome);
  assert.equal(link.state, "active");
});

test("the end of the poll behind a move that failed is taken for its doing", async (t) => {
  const { link, seen, poll, socket } = await moving(t);
  socket.handlers.closed(1006, "");
  assert.deepEqual([link.state, seen.ended], ["active", []]);
  poll.handlers.closed(4406, "session_replaced");
  assert.deepEqual([link.state, seen.ended], ["waiting", [4406]]);
});

test("a WebSocket that ends after the move is a connection that has ended", async (t) => {
  const { link, seen, socket } = await moving(t);
  socket.handlers.received(welcome);
  socket.handlers.closed(1006, "");
  assert.deepEqual([link.state, seen.ended], ["waiting", [1006]]);
});

for (const [name, act, state] of [
  ["stopped", (link) => link.stop(), "closed"], ["dropped", (link) => link.drop(1006, ""), "waiting"], ["held", (link) => link.hold(), "waiting"],
]) {
  test(`a link that is ${name} while it moves lets both connections go`, async (t) => {
    const { link, poll, socket } = await moving(t);
    act(link);
    assert.deepEqual([link.state, poll.dropped, socket.dropped], [state, true, true]);
  });
}
