import type { Client, NotificationNew } from "../../../clients/js/src/index.ts";
import { byId } from "./dom.ts";

const TOAST_MS = 8000;

/** Shows what the server notifies this device of, until it is opened or its time is over. */
export class NoticesView {
  readonly #toast = byId<HTMLButtonElement>("toast");
  #room: string | undefined; // of what is shown
  #open: string | undefined; // the room that is in front
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(client: Client, device: string, open: (room: string) => void) {
    client.on("event", ({ payload }) => {
      if (payload?.action !== "notification:new") return;
      const notice = payload.data as NotificationNew;
      if (notice.devices.includes(device)) this.#show(notice);
    });
    this.#toast.addEventListener("click", () => {
      const room = this.#room;
      this.#hide();
      if (room !== undefined) open(room);
    });
  }

  /** A room is in front now. */
  seen(room: string | undefined): void {
    this.#open = room;
    if (room === this.#room) this.#hide();
  }

  #show({ room, from = "the server", reason, text = "" }: NotificationNew): void {
    if (room === this.#open && document.visibilityState === "visible" && document.hasFocus()) return;
    const label = room.replace(/^[^:]*:/, "");
    const what = { mention: `mentioned you in ${label}`, direct: "wrote to you", message: `wrote in ${label}` }[reason];
    this.#toast.textContent = `${from} ${what}${text && `: ${text}`}`;
    this.#toast.hidden = false;
    this.#room = room.startsWith("user:") ? undefined : room;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#hide(), TOAST_MS);
  }

  #hide(): void {
    this.#toast.hidden = true;
    this.#room = undefined;
  }
}
