// The client in Chromium, behind a proxy that breaks WebSockets in various ways, and without a network.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { Client } from "../clients/js/dist/heddle.js";
import { Proxy } from "../clients/js/test/real/proxy.mjs";
import { launch } from "./browser.mjs";
import { Server } from "./server.mjs";

const server = new Server();
const skip = !process.env.E2E_BIN && "E2E_BIN is not set";
const WAIT_MS = 60_000;
const files = new Map([["/blank", ["text/html", "<!doctype html><title>blank</title>"]]]);
let browser;
let count = 0;

before(async () => {
  if (skip) return;
  for (const name of ["heddle", "msgpack"]) {
    files.set(`/client/${name}.js`, ["text/javascript", await readFile(new URL(`../clients/js/dist/${name}.js`, import.meta.url))]);
  }
  process.env.HEDDLE_SOCKET_ORIGINS = '["*"]';
  await server.start();
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await server.stop();
});

const port = () => Number(new URL(server.url).port);

const token = async (user) => (await (await fetch(new URL("/dev/token", server.url), { method: "POST", body: JSON.stringify({ user }) })).json()).token;

const connected = (client) =>
  new Promise((resolve) => {
    client.on("ready", resolve);
    client.connect();
  });

/** Repeats a check until it holds, or tells how it failed last. */
async function eventually(check) {
  for (const deadline = Date.now() + WAIT_MS; ; ) {
    try {
      return await check();
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
    await new Promise((done) => setTimeout(done, 20));
  }
}

/** Ann, in a page behind a proxy, and bob, who is in the room with her and has no proxy. */
class Couple {
  static async meet(t, { mode = "pass", options = {} } = {}) {
    const c = new Couple();
    c.tag = `${process.pid}-${++count}`;
    c.room = `conv:transport-${c.tag}`;
    c.proxy = await new Proxy(port()).listen();
    c.proxy.files = files;
    c.proxy.mode = mode;
    c.context = await browser.newContext();
    c.page = await c.context.newPage();
    c.bob = new Client({ url: server.url.replace("http", "ws") + "v1/ws", token: await token(`bob-${c.tag}`), transports: ["polling"] });
    c.heard = [];
    c.bob.on("message:send", ({ room, offset, payload }) => room === c.room && c.heard.push([offset, payload.data.text]));
    t.after(async () => {
      await c.context.close();
      c.proxy.mode = "pass";
      await c.bob.close();
      await c.proxy.close();
    });
    await connected(c.bob);
    await c.bob.room.create(c.room, { members: [`ann-${c.tag}`] });
    c.options = {
      token: await token(`ann-${c.tag}`), backoffBase: 50, backoffCap: 300, websocketTimeout: 700, upgradePause: 300, soundAfter: 1500, ...options,
    };
    await c.open();
    return c;
  }

  /** Opens the page, or opens it again. */
  async open() {
    await this.page.goto(`http://127.0.0.1:${this.proxy.port}/blank`);
    await this.page.evaluate(async ({ options, room }) => {
      const { Client } = await import("/client/heddle.js");
      if (options.codec) options.codec = (await import("/client/msgpack.js")).msgpack;
      const client = new Client({ url: `ws://${location.host}/v1/ws`, ...options });
      const seen = { client, transports: [], states: [], got: [], ready: 0, resumed: 0, errors: [], sent: [], acks: [] };
      window.seen = seen;
      client.on("transport", ({ transport }) => seen.transports.push(transport));
      client.on("state", ({ state }) => seen.states.push(state));
      client.on("ready", () => seen.ready++);
      client.on("resumed", () => seen.resumed++);
      client.on("error", (error) => seen.errors.push(error.code));
      client.on("message:send", (m) => m.room === room && seen.got.push([m.offset, m.payload.data.text]));
      client.connect();
    }, { options: this.options, room: this.room });
    await eventually(async () => assert.equal(await this.page.evaluate(() => window.seen.client.state), "active"));
  }

  seen(name) {
    return this.page.evaluate((name) => window.seen[name], name);
  }

  over(transport) {
    return eventually(async () => {
      assert.deepEqual(await this.page.evaluate(() => [window.seen.client.transport, window.seen.client.state]), [transport, "active"]);
    });
  }

  offline(on) {
    return this.context.setOffline(on);
  }

  /** Both write while something happens; then both must have everything, once and in one order. */
  async chat(happens) {
    const before = this.heard.length;
    const ann = (await this.page.evaluate(({ room }) => {
      const { seen } = window;
      seen.sent = [];
      seen.acks = [];
      seen.timer = setInterval(() => {
        const text = `ann ${performance.now()} ${seen.sent.length}`;
        seen.sent.push(text);
        seen.acks.push(seen.client.send(room, { text }));
      }, 15);
      return seen.got.length;
    }, { room: this.room }));
    const sent = [];
    const acks = [];
    const timer = setInterval(() => {
      sent.push(`bob ${sent.length}`);
      acks.push(this.bob.send(this.room, { text: sent.at(-1) }));
    }, 15);
    await happens();
    clearInterval(timer);
    const annSent = await this.page.evaluate(async () => {
      clearInterval(window.seen.timer);
      await Promise.all(window.seen.acks);
      return window.seen.sent;
    });
    await Promise.all(acks);
    let got;
    await eventually(async () => {
      got = (await this.seen("got")).slice(ann);
      assert.equal(got.length, annSent.length + sent.length);
    });
    await eventually(() => assert.equal(this.heard.length - before, got.length));
    assert.deepEqual(this.heard.slice(before), got, "both see the same");
    assert.deepEqual(got.map(([offset]) => offset), got.map((_, i) => got[0][0] + i), "every offset once, in order");
    const texts = got.map(([, text]) => text);
    assert.deepEqual(texts.filter((text) => text.startsWith("ann")), annSent);
    assert.deepEqual(texts.filter((text) => text.startsWith("bob")), sent);
    assert.deepEqual(await this.seen("errors"), []);
    return got.length;
  }
}

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

for (const mode of ["refuse", "hang", "swallow"]) {
  test(`a page behind a proxy that does this to WebSockets polls, and leaves that when it can: ${mode}`, { skip }, async (t) => {
    const c = await Couple.meet(t, { mode });
    await c.over("polling");
    await c.page.reload(); // remembered in this origin's storage
    await c.open();
    assert.deepEqual((await c.seen("states")).filter((s) => s !== "syncing"), ["connecting", "active"], "no WebSocket is tried first");
    const before = (await c.seen("states")).length;
    const n = await c.chat(async () => {
      await eventually(async () => assert.ok((await c.seen("got")).length > 10));
      c.proxy.mode = "pass";
      await c.over("websocket");
    });
    assert.ok(n > 10);
    assert.equal((await c.seen("states")).length, before, "the state is the same all the while");
    assert.deepEqual([await c.seen("ready"), await c.seen("resumed")], [1, 0]);
    await eventually(async () => assert.equal(await c.page.evaluate(() => localStorage.length), 0));
    await c.open();
    assert.deepEqual(await c.seen("transports"), ["websocket"], "a network that has turned out well is not remembered");
  });
}

test("a page behind a proxy that kills WebSockets after a while goes over to polling", { skip }, async (t) => {
  const c = await Couple.meet(t, { mode: "kill", options: { upgradePause: 3_600_000 } });
  await c.chat(() => c.over("polling"));
  assert.ok((await c.seen("transports")).length === 2);
});

test("a page writes and reads while its transport changes again and again", { skip }, async (t) => {
  const c = await Couple.meet(t, { options: { upgradePause: 50, codec: "msgpack" } });
  await c.chat(async () => {
    for (const mode of ["refuse", "pass", "swallow-down", "pass", "mute", "pass"]) {
      c.proxy.mode = mode;
      if (mode !== "pass") c.proxy.cut();
      await c.over(mode === "pass" ? "websocket" : "polling");
    }
  });
  assert.ok((await c.seen("transports")).length >= 7);
});

for (const transport of ["websocket", "polling"]) {
  test(`a page loses its network and gets it back: ${transport}`, { skip }, async (t) => {
    const c = await Couple.meet(t, { mode: transport === "polling" ? "refuse" : "pass" });
    await c.over(transport);
    await c.chat(async () => {
      for (let i = 0; i < 2; i++) {
        await c.offline(true);
        await eventually(async () => assert.ok(!["active", "syncing"].includes(await c.page.evaluate(() => window.seen.client.state))));
        await pause(300); // both write on
        await c.offline(false);
        await c.over(transport);
      }
    });
    assert.equal(await c.seen("ready"), 1);
  });
}

test("a page of another origin may poll if the server lets its WebSockets in", { skip }, async (t) => {
  const c = await Couple.meet(t, { mode: "refuse" });
  const elsewhere = await new Proxy(port()).listen();
  t.after(() => elsewhere.close());
  elsewhere.mode = "refuse";
  const outcome = await c.page.evaluate(async ({ url, token }) => {
    const { Client } = await import("/client/heddle.js");
    const client = new Client({ url, token, websocketTimeout: 500, backoffBase: 50, storage: null });
    const ready = new Promise((done) => client.on("ready", () => done(client.transport)));
    client.connect();
    const transport = await Promise.race([ready, new Promise((done) => setTimeout(() => done(client.state), 5000))]);
    await client.close();
    return transport;
  }, { url: elsewhere.url, token: c.options.token });
  assert.equal(outcome, "polling");
});

test("what waits without a network is bounded, and expires", { skip }, async (t) => {
  const c = await Couple.meet(t, { options: { queue: 3 } });
  await c.offline(true);
  const outcome = await c.page.evaluate(async (room) => {
    const { client } = window.seen;
    const sends = [{ expiry: 200 }, {}, {}, {}].map((options, i) => client.send(room, { text: `q${i}` }, options));
    const first = await Promise.allSettled([sends[0], sends[3]]);
    window.seen.rest = [sends[1], sends[2]];
    return first.map((r) => r.reason?.code);
  }, c.room);
  assert.deepEqual(outcome, ["queue_expired", "queue_full"]);
  await c.offline(false);
  await c.page.evaluate(() => Promise.all(window.seen.rest));
  await eventually(() => assert.deepEqual(c.heard.map(([, text]) => text), ["q1", "q2"]));
});

test("a page that nobody looks at does not try to leave polling; it does once it is looked at", { skip }, async (t) => {
  const c = await Couple.meet(t, { mode: "refuse", options: { upgradePause: 50 } });
  await c.over("polling");
  const show = (state) => c.page.evaluate((state) => {
    Object.defineProperty(document, "visibilityState", { value: state, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  }, state);
  await show("hidden");
  await pause(800); // what was under way ends
  const { tried } = c.proxy;
  await pause(800);
  assert.equal(c.proxy.tried, tried);
  c.proxy.mode = "pass";
  await show("visible");
  await c.over("websocket");
});
