// A proxy that treats WebSockets as some do. Other requests pass, unless it is `down`.
import { createServer, request } from "node:http";
import { connect } from "node:net";

/**
 * What becomes of WebSockets:
 * - pass: nothing;
 * - refuse: 400;
 * - hang: no answer;
 * - swallow, swallow-up, swallow-down: they open, and then nothing passes, or nothing in one direction;
 * - mute: the server's first frame passes (its answer to the probe), and nothing behind it;
 * - kill: they are cut after `lifeMs`.
 */
export class Proxy {
  mode = "pass";
  lifeMs = 200;
  /** WebSockets that were asked for. */
  tried = 0;
  /** Requests that were not for WebSockets. */
  requests = 0;
  /** What the proxy serves itself: [type, text] by path. */
  files = new Map();
  #down = false;
  #sockets = new Set();
  #upgraded = new Set();

  constructor(port) {
    this.upstream = port;
  }

  async listen(port = 0) {
    this.http = createServer((req, res) => this.#pass(req, res));
    this.http.on("connection", (socket) => {
      if (this.#down) socket.destroy();
      this.#watch(socket);
    });
    this.http.on("upgrade", (req, socket, head) => this.#upgrade(req, socket, head));
    await new Promise((done) => this.http.listen(port, "127.0.0.1", done));
    this.port = this.http.address().port;
    this.url = `ws://127.0.0.1:${this.port}/v1/ws`;
    return this;
  }

  /** Cuts every connection, or the WebSockets alone. */
  cut(all = true) {
    for (const socket of all ? this.#sockets : this.#upgraded) socket.destroy();
  }

  set down(down) {
    this.#down = down;
    if (down) this.cut();
  }

  async close() {
    this.cut();
    await new Promise((done) => this.http.close(done));
  }

  #watch(socket) {
    this.#sockets.add(socket);
    socket.on("close", () => this.#sockets.delete(socket));
    socket.on("error", () => {});
  }

  #pass(req, res) {
    const file = this.files.get(req.url);
    if (file) {
      res.writeHead(200, { "Content-Type": file[0] }).end(file[1]);
      return;
    }
    this.requests++;
    const { method, url: path, headers } = req;
    const up = request({ host: "127.0.0.1", port: this.upstream, method, path, headers, agent: false }, (answer) => {
      res.writeHead(answer.statusCode, answer.headers);
      answer.pipe(res);
    });
    up.on("error", () => res.destroy());
    res.on("close", () => up.destroy());
    req.pipe(up);
  }

  #upgrade(req, client, head) {
    this.tried++;
    const { mode } = this;
    if (mode === "hang") return;
    if (mode === "refuse") {
      client.end("HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
      return;
    }
    const server = connect(this.upstream, "127.0.0.1");
    this.#watch(server);
    for (const socket of [client, server]) {
      this.#upgraded.add(socket);
      socket.on("close", () => {
        this.#upgraded.delete(socket);
        client.destroy();
        server.destroy();
      });
    }
    const lines = [];
    for (let i = 0; i < req.rawHeaders.length; i += 2) lines.push(`${req.rawHeaders[i]}: ${req.rawHeaders[i + 1]}`);
    server.write(`${req.method} ${req.url} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n`);
    server.write(head);
    let came = 0; // writes of the server: its handshake is the first
    client.on("data", (data) => {
      if (mode !== "swallow" && mode !== "swallow-up") server.write(data);
    });
    server.on("data", (data) => {
      came++;
      if (came > 1 && (mode === "swallow" || mode === "swallow-down")) return;
      if (came > 2 && mode === "mute") return;
      client.write(data);
    });
    if (mode === "kill") setTimeout(() => client.destroy(), this.lifeMs).unref();
  }
}
