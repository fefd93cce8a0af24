import { HeddleError } from "../../../clients/js/src/index.ts";
import type { Client } from "../../../clients/js/src/index.ts";
import { byId } from "./dom.ts";

const EVERY_MS = 15_000;

/** Shows on which other devices the user is connected, if the server can tell. */
export class DevicesView {
  readonly #client: Client;
  readonly #device: string;
  #available = true;

  constructor(client: Client, device: string) {
    this.#client = client;
    this.#device = device;
    for (const name of ["ready", "resumed"] as const) client.on(name, () => void this.#load());
    client.on("message", ({ from }) => {
      if (from?.user === client.session?.user && from?.device !== device) void this.#load();
    });
    setInterval(() => void this.#load(), EVERY_MS);
  }

  async #load(): Promise<void> {
    if (!this.#available || this.#client.state !== "active" || document.visibilityState !== "visible") return;
    try {
      const devices = await this.#client.devices({ retries: 0 });
      const others = devices.filter((d) => d.connected && d.device !== this.#device).map((d) => d.device || "a device without a name");
      byId("devices").textContent = others.length > 0 ? `also on ${others.join(", ")}` : "";
    } catch (error) {
      if (error instanceof HeddleError && error.code === "unknown_action") this.#available = false;
    }
  }
}
