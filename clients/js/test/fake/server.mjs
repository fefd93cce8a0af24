// A small server that speaks docs/PROTOCOL.md, for tests of the client and of the demo page.
// As a program: node server.mjs --port n [--data file] [--static folder]
import { createServer } from "node:http";
import { readFileSync } from "node:fs";
import { extname, join, normalize } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { WebSocketServer } from "ws";
import { Session } from "./session.mjs";
import { Store } from "./store.mjs";

const types = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };
const csp = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

export class FakeServer {
  sessions = new Set();
  records = new Map();
  frames = []; // every batch that came
  heartbeatMs = 25_000;
  node = "fake";
  typing = new Map(); // room -> users
  typingMs = 8000;
  chosen = new Map(); // user -> the data of presence:update
  intercept; // (envelope, session) -> Fault | "ignore" | undefined
  muteAcks; // (envelope) -> bool
  alter; // (envelope, session) -> envelopes to send instead
  authorize = (token) => /^dev-(.+)$/.exec(token ?? "")?.[1];
  packed; // { encode, decode } of MessagePack, if clients may ask for it
  acked; // called with each acknowledgement

  constructor({ data, folder } = {}) {
    this.store = new Store(data);
    this.folder = folder;
  }

  async listen(port = 0) {
    this.http = createServer((req, res) => this.#serve(req, res));
    this.ws = new WebSocketServer({ noServer: true, handleProtocols: (offered) => (this.packed && offered.has("heddle.v1.msgpack") ? "heddle.v1.msgpack" : "heddle.v1.json") });
    this.http.on("upgrade", (req, socket, head) => this.#upgrade(req, socket, head));
    await new Promise((done) => this.http.listen(port, "127.0.0.1", done));
    this.port = this.http.address().port;
    this.url = `ws://127.0.0.1:${this.port}/v1/ws`;
    return this;
  }

  async close() {
    for (const s of this.sessions) s.socket.terminate();
    this.http.closeAllConnections();
    await new Promise((done) => this.http.close(done));
  }

  /** Delivers an event to the sessions in its room. */
  publish(event, to = () => true) {
    for (const s of this.sessions) {
      if (!s.opened || !s.rooms.has(event.room) || !to(s)) continue;
      s.send(...(this.alter?.(event, s) ?? [event]));
    }
  }

  /** Sends a message in the server's own name. */
  say(room, text) {
    this.publish(this.store.append(room, undefined, "message:send", { text }).event);
  }

  /** Resolves with the next acknowledgement that a client sends. */
  nextAck() {
    return new Promise((done) => (this.acked = done));
  }

  /** How a user is there. */
  presence(user) {
    const { status = "auto", ...says } = this.chosen.get(user) ?? {};
    const devices = [...this.sessions].filter((s) => s.opened && s.user === user).length;
    const there = devices > 0 && status !== "invisible";
    return { user, status: there ? (status === "auto" ? "online" : status) : "offline", ...says, since: Date.now(), devices };
  }

  /** Tells those who watch a user how that is now. */
  noticed(user) {
    for (const s of this.sessions) {
      if (s.watched.has(user)) s.send({ type: "event", room: `user:${user}/presence`, payload: { action: "presence:update", data: this.presence(user) } });
    }
  }

  of(user) {
    return [...this.sessions].find((s) => s.user === user);
  }

  #upgrade(req, socket, head) {
    const offered = (req.headers["sec-websocket-protocol"] ?? "").split(/, */);
    const user = this.authorize(offered.find((p) => p.startsWith("heddle.token."))?.slice(13));
    if (!user || !req.url.startsWith("/v1/ws")) {
      socket.end(`HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
      return;
    }
    this.ws.handleUpgrade(req, socket, head, (ws) => {
      const session = new Session(this, ws, user);
      this.sessions.add(session);
      ws.on("message", (data) => session.frame(ws.protocol === "heddle.v1.json" ? JSON.parse(data) : this.packed.decode(data)));
      ws.on("close", () => {
        this.sessions.delete(session);
        this.noticed(user);
      });
      ws.on("error", () => {});
    });
  }

  async #serve(req, res) {
    const path = new URL(req.url, "http://x").pathname;
    if (req.method === "POST" && path === "/dev/token") {
      let body = "";
      for await (const chunk of req) body += chunk;
      res.setHeader("Content-Type", "application/json").end(JSON.stringify({ token: `dev-${JSON.parse(body).user}` }));
      return;
    }
    try {
      const file = join(this.folder ?? "/nowhere", normalize(path === "/" ? "/index.html" : path));
      const body = readFileSync(file);
      res.setHeader("Content-Type", types[extname(file)] ?? "application/octet-stream");
      res.setHeader("Content-Security-Policy", csp).end(body);
    } catch {
      res.writeHead(404).end();
    }
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const { values } = parseArgs({ options: { port: { type: "string" }, data: { type: "string" }, static: { type: "string" } } });
  // Without a port it is only looked at, by node --test, which runs all that lies in test/.
  if (values.port !== undefined) {
    const server = await new FakeServer({ data: values.data, folder: values.static }).listen(Number(values.port));
    console.log(`listening on http://127.0.0.1:${server.port}/`);
  }
}
