import { HeddleError } from "../../../clients/js/src/index.ts";
import type { Presence } from "../../../clients/js/src/chat.ts";
import type { Client, Message, PresenceChosen, PresenceSet } from "../../../clients/js/src/index.ts";
import { byId, clockTime } from "./dom.ts";

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
const NOTHING: PresenceChosen = { status: "auto" };

/** How the user is seen, as it was chosen on any device: a status, and if one likes a text, an emoji and until when. */
export class StatusView {
  readonly #client: Client;
  readonly #presence: Presence;
  readonly #home: string; // the user's own room
  readonly #select = byId<HTMLSelectElement>("status");
  readonly #until = byId<HTMLSelectElement>("status-until");
  readonly #text = byId<HTMLInputElement>("status-text");
  readonly #emoji = byId<HTMLInputElement>("status-emoji");
  #told: Message | undefined; // the newest choice
  #over: ReturnType<typeof setTimeout> | undefined;

  constructor(client: Client, presence: Presence, me: string) {
    this.#client = client;
    this.#presence = presence;
    this.#home = `user:${me}`;
    presence.onChange(() => this.#render());
    client.on("ready", () => {
      void presence.watch([me]).catch(() => {}).then(() => (document.body.dataset.presence = String(presence.available === true)));
      void this.#recall();
    });
    client.on("message", (message) => this.#take(message));
    this.#select.addEventListener("change", () => {
      const { text = "", emoji = "", expires_at: end } = this.#chosen;
      void this.#choose(this.#select.value as PresenceSet["status"], text, emoji, end === undefined ? 0 : end - Date.now(), "people-error");
    });
    this.#dialog();
  }

  // A choice that has ended is as if nothing had been chosen.
  get #chosen(): PresenceChosen {
    const chosen = this.#told?.payload.data as PresenceChosen | undefined;
    return chosen && (chosen.expires_at ?? Infinity) > Date.now() ? chosen : NOTHING;
  }

  // What was chosen before this window was there stands in the user's own room.
  async #recall(): Promise<void> {
    try {
      const { events } = await this.#client.room.history(this.#home);
      for (const event of events) this.#take(event);
    } catch {
      // Then it is known when it changes.
    }
  }

  #take(message: Message): void {
    if (message.room !== this.#home || message.payload.action !== "presence:update") return;
    if (this.#told?.epoch === message.epoch && this.#told.offset >= message.offset) return;
    this.#told = message;
    this.#render();
  }

  async #choose(status: PresenceSet["status"], text: string, emoji: string, forMs: number, complaints: string): Promise<boolean> {
    byId(complaints).textContent = "";
    try {
      await this.#presence.update({ status, ...(text && { text }), ...(emoji && { emoji }), ...(forMs > 0 && { expires_in_ms: forMs }) });
      return true;
    } catch (error) {
      byId(complaints).textContent = error instanceof HeddleError ? error.message : String(error);
      this.#render();
      return false;
    }
  }

  #render(): void {
    byId("status-line").hidden = this.#presence.available !== true;
    const { status, text = "", emoji = "", expires_at: end } = this.#chosen;
    this.#select.value = status;
    const says = [emoji, text].filter(Boolean).join(" ") || "Set a status";
    byId("status-edit").textContent = end === undefined ? says : `${says} (until ${clockTime(end)})`;
    clearTimeout(this.#over);
    if (end !== undefined) this.#over = setTimeout(() => this.#render(), Math.min(end - Date.now() + 1, DAY_MS));
  }

  #dialog(): void {
    const dialog = byId<HTMLDialogElement>("status-dialog");
    const keep = byId<HTMLOptionElement>("status-keep");
    byId("status-edit").addEventListener("click", () => {
      const { text = "", emoji = "", expires_at: end } = this.#chosen;
      this.#text.value = text;
      this.#emoji.value = emoji;
      keep.hidden = keep.disabled = end === undefined;
      keep.textContent = end === undefined ? "" : `until ${clockTime(end)}`;
      this.#until.value = end === undefined ? "0" : "keep";
      byId("status-error").textContent = "";
      dialog.showModal();
    });
    byId("status-cancel").addEventListener("click", () => dialog.close());
    byId("status-clear").addEventListener("click", () => {
      this.#text.value = this.#emoji.value = "";
      this.#until.value = "0";
    });
    byId("status-form").addEventListener("submit", (event) => {
      event.preventDefault();
      const forMs = this.#until.value === "keep" ? (this.#chosen.expires_at ?? 0) - Date.now() : Number(this.#until.value) * MINUTE_MS;
      void this.#choose(this.#chosen.status, this.#text.value.trim(), this.#emoji.value.trim(), forMs, "status-error").then((done) => done && dialog.close());
    });
  }
}
