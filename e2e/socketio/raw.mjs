// The protocols by hand: requests of polling, and WebSockets.
import { once } from "node:events";
import WebSocket from "ws";

/** One polling connection at a path of a node, or none yet. */
export class Polling {
  sid;
  constructor(base, path = "/engine.io/") {
    Object.assign(this, { base, path });
  }

  url(query = {}) {
    const all = { EIO: "4", transport: "polling", ...(this.sid && { sid: this.sid }), ...query };
    const search = new URLSearchParams(Object.entries(all).filter(([, v]) => v !== undefined));
    return `${this.base}${this.path}?${search}`;
  }

  get(query) {
    return fetch(this.url(query), { signal: AbortSignal.timeout(10_000) });
  }

  post(body, query) {
    return fetch(this.url(query), { method: "POST", body, signal: AbortSignal.timeout(10_000) });
  }

  /** Shakes hands, and gives what the server has said of itself. */
  async open() {
    const text = await (await this.get()).text();
    if (text[0] !== "0") throw new Error(`not a handshake: ${text}`);
    const said = JSON.parse(text.slice(1));
    this.sid = said.sid;
    return said;
  }

  /** The packets of the next poll. */
  async packets() {
    const answer = await this.get();
    const text = await answer.text();
    if (!answer.ok) throw Object.assign(new Error(`${answer.status}: ${text}`), { status: answer.status });
    return text.split("\x1e");
  }

  /** The next packets that are no pings, of as many polls as it takes; pings are answered. */
  async said(count = 1) {
    const got = [];
    while (got.length < count) {
      for (const packet of await this.packets()) {
        if (packet === "2") await this.post("3");
        else got.push(packet);
      }
    }
    return got;
  }
}

/** A WebSocket whose messages are read one by one, with pings answered unless they are wanted. */
export class Line {
  #frames = [];
  #wake = () => {};
  /** The code with which it was closed. */
  closed;

  static async open(base, path, query, { pings = false } = {}) {
    const line = new Line();
    const ws = new WebSocket(`${base.replace("http", "ws")}${path}?${new URLSearchParams(query)}`);
    line.ws = ws;
    ws.on("message", (data, binary) => {
      const frame = binary ? data : data.toString();
      if (frame === "2" && !pings) return ws.send("3");
      line.#frames.push(frame);
      line.#wake();
    });
    ws.on("close", (code) => {
      line.closed = code;
      line.#wake();
    });
    await once(ws, "open");
    ws.on("error", () => {});
    return line;
  }

  send(...frames) {
    for (const frame of frames) this.ws.send(frame);
  }

  /** The next message; it fails if there is none any more, or for ten seconds. */
  async next() {
    const deadline = Date.now() + 10_000;
    for (;;) {
      if (this.#frames.length) return this.#frames.shift();
      if (this.closed !== undefined) throw new Error(`closed with ${this.closed}`);
      if (Date.now() > deadline) throw new Error("nothing comes");
      await this.#more(deadline);
    }
  }

  /** Waits for the close, and gives its code. */
  async end() {
    const deadline = Date.now() + 10_000;
    while (this.closed === undefined) {
      if (Date.now() > deadline) throw new Error("it stays open");
      await this.#more(deadline);
    }
    return this.closed;
  }

  #more(deadline) {
    let timer;
    const wake = new Promise((done) => {
      this.#wake = done;
      timer = setTimeout(done, deadline - Date.now() + 1);
    });
    return wake.finally(() => clearTimeout(timer));
  }
}
