// People who talk to each other, each with an unmodified client: of Socket.IO, or of the native protocol
// over WebSocket or over long-polling.
import assert from "node:assert/strict";
import { Socket as Engine } from "engine.io-client";
import { io } from "socket.io-client";
import WebSocket from "ws";
import { eventually, wait } from "./node.mjs";

let rooms = 0;
export const newRoom = (type = "conv") => `${type}:e2e-${process.pid}-${Date.now().toString(36)}-${++rooms}`;

/** How Socket.IO may be carried: by the names that tests have. */
export const transports = {
  "polling, then WebSocket": ["polling", "websocket"],
  "polling alone": ["polling"],
  "WebSocket alone": ["websocket"],
};

/** What everybody keeps of what comes: {action, data, meta} in its order. */
class Listener {
  heard = [];
  constructor(user) {
    this.user = user;
  }

  told(action, room) {
    return this.heard.filter((e) => e.action === action && (!room || e.meta.room === room));
  }

  messages(room) {
    return this.told("message:send", room);
  }

  texts(room) {
    return this.messages(room).map((m) => m.data.text);
  }

  /** Waits until as many messages have come, and gives their texts. */
  async hears(room, count) {
    await eventually(() => {
      const n = this.messages(room).length;
      return n >= count || assert.fail(`${this.user} has ${n} of ${count} messages`);
    });
    return this.texts(room);
  }

  /** Emits an event, again where the refusal says so, and gives its ack; other refusals throw. */
  async emit(action, data, meta) {
    for (let tries = 0; ; tries++) {
      const { ack, error } = await this.ask(action, data, meta);
      if (!error) return ack;
      if (!error.retryable || tries === 100) throw Object.assign(new Error(error.message), error);
      await wait(error.retry_after_ms || 20);
    }
  }

  /** Sends a message, and gives its ack. */
  say(room, text, more) {
    return this.emit("message:send", { text, ...more }, { room });
  }
}

/** Somebody with socket.io-client. */
export class Person extends Listener {
  /** How often the client has connected, and whether its state was recovered each time. */
  recovered = [];
  /** Reasons of disconnects. */
  gone = [];
  refused = [];

  /** token gives one for each connect. */
  constructor(t, url, { user, token, auth, ...options }) {
    super(user);
    // A node that gives tokens may be away when the client is back already.
    const say = async (cb) => cb({ token: await eventually(() => token(user)), ...auth });
    this.socket = io(url, { forceNew: true, reconnectionDelay: 50, reconnectionDelayMax: 300, auth: token && say, ...options });
    this.listen();
    t.after(() => this.socket.disconnect());
  }

  listen() {
    const { socket } = this;
    socket.on("connect", () => this.recovered.push(socket.recovered));
    socket.on("disconnect", (reason) => this.gone.push(reason));
    socket.on("connect_error", (err) => this.refused.push(err));
    socket.onAny((action, data, meta, mark) => this.heard.push({ action, data, meta, mark }));
  }

  get transport() {
    return this.socket.io.engine?.transport?.name;
  }

  /** Waits until it has connected so many times. */
  async connected(times = 1) {
    await eventually(() => this.socket.connected && this.recovered.length >= times);
    return this;
  }

  upgraded() {
    return eventually(() => this.transport === "websocket");
  }

  async ask(action, data, meta) {
    const ack = await this.socket.timeout(20_000).emitWithAck(action, data, meta);
    return { ack, error: ack.error };
  }

  /** Another namespace of the same connection. */
  beside(t, namespace, { token }) {
    const other = Object.create(Person.prototype);
    Object.assign(other, { user: this.user, heard: [], recovered: [], gone: [], refused: [] });
    other.socket = this.socket.io.socket(namespace, { auth: async (cb) => cb({ token: await eventually(() => token(this.user)) }) });
    other.listen();
    t.after(() => other.socket.disconnect());
    return other;
  }

  /** Tears the connection, as a network does that goes away. */
  drop() {
    this.socket.io.engine.close();
  }
}

/** Somebody who speaks the native protocol, through whatever write sends. */
class Native extends Listener {
  #waiting = new Map();
  #ids = 0;
  #write;

  take(text) {
    const read = JSON.parse(text);
    for (const e of Array.isArray(read) ? read : [read]) {
      const answered = e.type === "ack" || e.type === "error" ? this.#waiting.get(e.ref) : undefined;
      if (!answered) {
        this.heard.push({ action: e.payload?.action, data: e.payload?.data, meta: e });
        continue;
      }
      this.#waiting.delete(e.ref);
      answered(e);
    }
  }

  async open(write, token) {
    this.#write = write;
    await this.emit("session:open", { token });
    return this;
  }

  async ask(action, data, { room } = {}) {
    const id = `${process.pid}-${++this.#ids}`;
    const answer = new Promise((done) => this.#waiting.set(id, done));
    this.#write(JSON.stringify({ v: 1, type: "event", id, room, payload: { action, data } }));
    const e = await answer;
    const about = e.payload?.data;
    return e.type === "error" ? { error: about } : { ack: { ...e, data: about } };
  }
}

/** Somebody who polls at /v1/poll/, with engine.io-client. */
export class Poller extends Native {
  closed = false;
  static async connect(t, url, { user, token }) {
    const p = new Poller(user);
    p.engine = new Engine(url, { path: "/v1/poll/", transports: ["polling"] });
    t.after(() => p.engine.close());
    p.engine.on("message", (text) => (p.closed ? undefined : p.take(text)));
    await new Promise((done, fail) => p.engine.once("open", done).once("error", fail));
    p.engine.on("close", () => (p.closed = true));
    return p.open((text) => p.engine.send(text), await token(user));
  }
}

/** Somebody with a WebSocket at /v1/ws. */
export class NativeSocket extends Native {
  closed = false;
  static async connect(t, url, { user, token }) {
    const p = new NativeSocket(user);
    const ws = new WebSocket(`${url.replace("http", "ws")}/v1/ws`, ["heddle.v1.json"]);
    p.ws = ws;
    t.after(() => ws.terminate());
    ws.on("message", (data) => p.take(data.toString()));
    await new Promise((done, fail) => ws.once("open", done).once("error", fail));
    ws.on("close", () => (p.closed = true));
    return p.open((text) => ws.send(text), await token(user));
  }
}

/** Makes a conversation of these people. */
export async function together([host, ...guests]) {
  const room = newRoom();
  await host.emit("room:create", { members: [...new Set(guests.map((g) => g.user))] }, { room });
  await Promise.all(guests.map((g) => eventually(() => g.told("room:added").some((e) => e.data.room === room))));
  return room;
}

/**
 * All talk at once, each `each` times. Everybody must hear everything that was said in
 * the room until then, once, in one order and without a gap.
 */
export async function talk(people, room, each = 5) {
  const before = people[0].messages(room).length;
  await Promise.all(people.map(async (p) => {
    for (let i = 0; i < each; i++) await p.say(room, `${p.user} ${before} ${i}`);
  }));
  const count = before + people.length * each;
  for (const p of people) await p.hears(room, count);
  const [first] = people;
  assert.equal(new Set(first.texts(room)).size, count);
  const offsets = first.messages(room).map((m) => m.meta.offset);
  assert.deepEqual(offsets, offsets.map((_, i) => offsets[0] + i), "the room has a gap, or another order");
  for (const p of people) {
    assert.deepEqual(p.texts(room), first.texts(room), `${p.user} has heard something else than ${first.user}`);
  }
}
