import { HeddleError } from "../../../clients/js/src/index.ts";
import type { Presence } from "../../../clients/js/src/chat.ts";
import type { Client } from "../../../clients/js/src/index.ts";
import { byId } from "./dom.ts";

const EVERY_MS = 15_000;
const SHOWN_MS = 4000;
const IN_USE_MS = 60_000;

/** Shows on which other devices the user is connected, if the server can tell. */
export class DevicesView {
  readonly #client: Client;
  readonly #device: string;
  #others: string[] = [];
  #available = true;
  #asked = 0;
  #used = Date.now();

  constructor(client: Client, presence: Presence, me: string, device: string) {
    this.#client = client;
    this.#device = device;
    const load = (): void => void this.#load();
    for (const name of ["ready", "resumed"] as const) client.on(name, load);
    presence.onChange((users) => users.includes(me) && load()); // it tells how many devices there are
    client.on("message", ({ from }) => {
      if (from?.user === me && from.device !== undefined && from.device !== device && !this.#others.includes(from.device)) load();
    });
    window.addEventListener("focus", load);
    document.addEventListener("visibilitychange", load);
    for (const name of ["pointerdown", "keydown"]) document.addEventListener(name, () => (this.#used = Date.now()), { capture: true, passive: true });
    setInterval(() => this.#poll(), SHOWN_MS);
  }

  // To ask counts as using this device: a window that is left alone must not.
  #poll(): void {
    const now = Date.now();
    if (now - this.#used > IN_USE_MS || !document.hasFocus()) return;
    if (now - this.#asked >= (this.#others.length > 0 ? SHOWN_MS : EVERY_MS)) void this.#load();
  }

  async #load(): Promise<void> {
    if (!this.#available || this.#client.state !== "active" || document.visibilityState !== "visible") return;
    this.#asked = Date.now();
    try {
      const devices = await this.#client.devices({ retries: 0 });
      this.#others = devices.filter((d) => d.connected && d.device !== this.#device).map((d) => d.device || "a device without a name");
      byId("devices").textContent = this.#others.length > 0 ? `also on ${this.#others.join(", ")}` : "";
    } catch (error) {
      if (error instanceof HeddleError && error.code === "unknown_action") this.#available = false;
    }
  }
}
