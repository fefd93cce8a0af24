// What tests of transports begin with: a real node, a proxy before it, people who chat.
import assert from "node:assert/strict";
import { after, before } from "node:test";
import WebSocket from "ws";
import { Client } from "../.out/index.js";
import { Node } from "./node.mjs";
import { Proxy } from "./proxy.mjs";
import { connected, next } from "../wait.mjs";

export { connected, next };

let node;
let count = 0;

before(async () => {
  node = await Node.start();
  if (!node && (process.env.HEDDLE_SDKS ?? "").split(",").includes("js")) throw new Error("there is neither E2E_BIN nor Go");
});
after(() => node?.stop());

/** Where localStorage would be. */
export class Storage extends Map {
  getItem(key) {
    return this.get(key) ?? null;
  }
  setItem(key, value) {
    this.set(key, value);
  }
  removeItem(key) {
    this.delete(key);
  }
}

/** Bounds that suit tests. */
export const quick = { backoffBase: 20, backoffCap: 200, websocketTimeout: 400, upgradePause: 100, soundAfter: 1000, gapTimeout: 100 };

/** A proxy of this test's own, and clients that come through it. */
export async function world(t) {
  if (!node) {
    t.skip("needs the node's binary (E2E_BIN), or Go to build it");
    return undefined;
  }
  const proxy = await new Proxy(node.port).listen();
  const clients = [];
  t.after(async () => {
    proxy.mode = "pass";
    await Promise.all(clients.map((client) => client.close()));
    await proxy.close();
  });
  const tag = `${++count}-${process.pid}`;
  const make = async (name, options = {}) => {
    const client = new Client({ url: proxy.url, token: await node.token(`${name}-${tag}`), WebSocket, storage: null, ...quick, ...options });
    client.user = `${name}-${tag}`;
    client.states = [];
    client.on("state", ({ state }) => client.states.push(state));
    client.on("error", (error) => (client.trouble ??= error));
    clients.push(client);
    return client;
  };
  return { node, proxy, make, room: `conv:t${tag}` };
}

/** Resolves when the client's session goes over a transport. */
export const on = (client, transport) =>
  client.transport === transport && client.state === "active" ? Promise.resolve() : next(client, "transport", (change) => change.transport === transport);

/** Two people in a room, connected as the options say, and what they get there. */
export async function couple(t, options) {
  const all = await world(t);
  if (!all) return undefined;
  const { make, room } = all;
  const [ann, bob] = [await make("ann", options), await make("bob", options)];
  await Promise.all([connected(ann), connected(bob)]);
  for (const client of [ann, bob]) {
    client.got = [];
    client.on("message:send", (message) => {
      if (message.room === room) client.got.push([message.offset, message.payload.data.text]);
    });
  }
  await ann.room.create(room, { members: [bob.user] });
  return { ...all, ann, bob };
}

/** Sends messages one behind the other, without waiting for answers, until it is told to stop. */
export class Chatter {
  #stopped = false;
  sent = [];

  constructor(client, room, name, everyMs = 8) {
    this.client = client;
    this.done = this.#run(room, name, everyMs);
  }

  async #run(room, name, everyMs) {
    const acks = [];
    for (let i = 0; !this.#stopped && i < 450; i++) {
      const text = `${name} ${i}`;
      this.sent.push(text);
      const ack = this.client.send(room, { text });
      ack.catch(() => {}); // stop() tells
      acks.push(ack);
      await new Promise((done) => setTimeout(done, everyMs));
    }
    return Promise.all(acks);
  }

  /** Stops, and resolves with the acks. */
  stop() {
    this.#stopped = true;
    return this.done;
  }
}

/** Both chat while `happens` does; then both must have everything, once and in one order. */
export async function chatting({ ann, bob, room }, happens) {
  const chatters = [new Chatter(ann, room, "ann"), new Chatter(bob, room, "bob")];
  await happens();
  const last = Math.max(...(await Promise.all(chatters.map((c) => c.stop()))).flat().map((ack) => ack.offset));
  for (const client of [ann, bob]) {
    if (client.position(room).offset < last) await next(client, "message", (m) => m.room === room && m.offset >= last);
  }
  assert.deepEqual(ann.got, bob.got, "both see the same");
  assert.deepEqual(ann.got.map(([offset]) => offset), ann.got.map((_, i) => i + 2), "every offset once, in order");
  for (const { sent } of chatters) {
    const name = sent[0].split(" ")[0];
    assert.deepEqual(ann.got.map(([, text]) => text).filter((text) => text.startsWith(name)), sent, `${name}'s messages, in the order of writing`);
  }
  for (const client of [ann, bob]) assert.equal(client.trouble, undefined);
  return ann.got.length;
}
