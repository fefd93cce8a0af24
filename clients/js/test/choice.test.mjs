// Which transport is tried next, and when polling is to be left.
import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { Choice } from "./.out/choice.js";

function setup(t, { transports = ["websocket", "polling"], stored = {} } = {}) {
  mock.timers.enable({ apis: ["setTimeout", "Date"], now: 1_000_000 });
  t.after(() => mock.timers.reset());
  t.mock.method(Math, "random", () => 0.5);
  const storage = {
    getItem: (key) => stored[key] ?? null,
    setItem: (key, value) => void (stored[key] = value),
    removeItem: (key) => void delete stored[key],
  };
  const config = { transports, origin: "https://x", storage, soundMs: 30_000, rememberMs: 3_600_000, pauseMs: 10_000, maxPauseMs: 60_000 };
  const make = () => new Choice(config);
  return { choice: make(), make, stored };
}

/** The transports of attempts that all fail. */
const failing = (choice, n) =>
  Array.from({ length: n }, () => {
    const transport = choice.next();
    choice.failed(transport);
    return transport[0];
  }).join("");

const kill = (choice, ms = 5000) => {
  choice.worked(choice.next());
  mock.timers.tick(ms);
  choice.ended("websocket", true, ms);
};

test("both transports are tried in turn while nothing works, and nothing is remembered", (t) => {
  const { choice, stored } = setup(t);
  assert.equal(failing(choice, 6), "wpwpwp");
  assert.deepEqual(stored, {});
});

test("a transport that has worked here is tried twice before the other", (t) => {
  const { choice } = setup(t);
  choice.worked("websocket");
  choice.ended("websocket", true, 60_000);
  assert.equal(failing(choice, 6), "wwpwwp");
});

test("polling that works where a WebSocket has not is remembered, for a time", (t) => {
  const { choice, make, stored } = setup(t);
  choice.failed("websocket");
  choice.worked("polling");
  assert.equal(choice.next(), "polling");
  assert.equal(choice.pause, 0, "a WebSocket is tried at once");
  assert.equal(make().next(), "polling");
  mock.timers.tick(3_600_001);
  assert.equal(make().next(), "websocket");
  assert.deepEqual(Object.keys(stored), ["heddle:polling:https://x"]);
});

test("a WebSocket is trusted again once it has lasted", (t) => {
  const { choice, stored } = setup(t);
  choice.failed("websocket");
  choice.worked("polling");
  choice.ended("polling", false, 0);
  choice.worked("websocket");
  mock.timers.tick(29_999);
  assert.equal(choice.next(), "polling");
  mock.timers.tick(1);
  assert.equal(choice.next(), "websocket");
  assert.deepEqual(stored, {});
});

test("three WebSockets in a row that end soon are enough", (t) => {
  const { choice } = setup(t);
  kill(choice);
  kill(choice);
  assert.equal(choice.next(), "websocket");
  kill(choice);
  assert.equal(choice.next(), "polling");
  assert.equal(choice.pause, 10_000, "no WebSocket is tried right away");
});

test("one that lasts makes the others forgotten, and so does an end that is nobody's fault", (t) => {
  const { choice } = setup(t);
  kill(choice);
  kill(choice);
  kill(choice, 40_000);
  kill(choice);
  choice.worked("websocket");
  choice.ended("websocket", false, 10);
  kill(choice);
  assert.equal(choice.next(), "websocket");
});

test("the pauses between attempts to leave polling grow, up to a bound, and a new network ends them", (t) => {
  const { choice, stored } = setup(t);
  choice.failed("websocket");
  choice.worked("polling");
  const pauses = Array.from({ length: 5 }, () => {
    choice.stayed();
    return choice.pause;
  });
  assert.deepEqual(pauses, [10_000, 20_000, 40_000, 60_000, 60_000]);
  choice.forget();
  assert.deepEqual([choice.pause, choice.next(), stored], [0, "websocket", {}]);
});

test("a server that does not poll is not asked again for a while", (t) => {
  const { choice } = setup(t);
  choice.failed("websocket");
  choice.unserved();
  assert.equal(failing(choice, 4), "wwww");
  mock.timers.tick(300_000);
  assert.equal(failing(choice, 2).includes("p"), true);
});

test("one transport alone", (t) => {
  const { choice } = setup(t, { transports: ["polling"], stored: {} });
  assert.deepEqual([failing(choice, 3), choice.upgradable, choice.spare], ["ppp", false, false]);
});

test("who begins with polling remembers nothing", (t) => {
  const { choice, stored } = setup(t, { transports: ["polling", "websocket"] });
  assert.equal(choice.next(), "polling");
  choice.worked("polling");
  assert.deepEqual([choice.upgradable, choice.pause, stored], [true, 0, {}]);
});

test("a storage that refuses is done without", (t) => {
  const { choice } = setup(t);
  const broken = new Choice({ transports: ["websocket", "polling"], origin: "x", soundMs: 1, rememberMs: 1, pauseMs: 1, maxPauseMs: 1,
    storage: { getItem() { throw new Error("no"); }, setItem() { throw new Error("no"); } } });
  broken.failed("websocket");
  broken.worked("polling");
  assert.deepEqual([broken.next(), choice.next()], ["polling", "websocket"]);
});
