// A network that can be cut: connections to its port go to an address until then.
import { once } from "node:events";
import { connect, createServer } from "node:net";

export class Wire {
  #server;
  #ends = new Set();
  #whole = true;
  /** How many connections have gone through. */
  connections = 0;

  static async to(port) {
    const wire = new Wire();
    wire.#server = createServer((near) => wire.#join(near, port)).listen(0, "127.0.0.1");
    await once(wire.#server, "listening");
    wire.url = `http://127.0.0.1:${wire.#server.address().port}`;
    return wire;
  }

  #join(near, port) {
    near.on("error", () => {});
    if (!this.#whole) return near.destroy();
    this.connections++;
    const far = connect(port, "127.0.0.1").on("error", () => {});
    for (const [a, b] of [[near, far], [far, near]]) {
      this.#ends.add(a);
      a.on("close", () => (this.#ends.delete(a), b.destroy()));
    }
    near.pipe(far).pipe(near);
  }

  /** Cuts all that goes through, and what wants to until it is mended. */
  cut() {
    this.#whole = false;
    for (const end of this.#ends) end.destroy();
  }

  mend() {
    this.#whole = true;
  }

  async stop() {
    this.cut();
    this.#server.close();
    await once(this.#server, "close");
  }
}
