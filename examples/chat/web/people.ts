import { HeddleError } from "../../../clients/js/src/index.ts";
import type { Presence } from "../../../clients/js/src/chat.ts";
import type { Client } from "../../../clients/js/src/index.ts";
import { byId, coalesce, el } from "./dom.ts";
import type { Room } from "./model.ts";

const words = { online: "online", away: "away", dnd: "do not disturb", offline: "offline" };

/** Who is in the open room and how they are, and the way to invite more. */
export class PeopleView {
  readonly #client: Client;
  readonly #presence: Presence;
  readonly #me: string;
  #room: Room | undefined;

  readonly #render = coalesce(() => this.#show());

  constructor(client: Client, presence: Presence, me: string) {
    this.#client = client;
    this.#presence = presence;
    this.#me = me;
    presence.onChange(this.#render);
    this.#invitations();
  }

  show(room: Room | undefined): void {
    if (this.#room) void this.#presence.unwatchRoom(this.#room.id).catch(() => {});
    this.#room = room;
    byId("people-error").textContent = "";
    byId("invite").hidden = !room;
    this.#show();
    if (!room) return;
    void this.load(room);
    // Without presence the room is the same, only without dots.
    void this.#presence.watchRoom(room.id).catch(() => {}).then(this.#render);
  }

  async load(room: Room): Promise<void> {
    try {
      const { members } = await this.#client.room.members(room.id, { limit: 200 });
      room.members = members.map((m) => m.user);
    } catch {
      room.members = [];
    }
    this.#render();
  }

  complain(text: string): void {
    byId("people-error").textContent = text;
  }

  #show(): void {
    const known = this.#presence.available === true;
    byId("members").replaceChildren(...(this.#room?.members ?? []).map((user) => {
      if (!known) return el("li", "", user);
      const { status = "offline", text = "", emoji = "" } = this.#presence.of(user) ?? {};
      const says = [emoji, text].filter(Boolean).join(" ");
      const item = el("li", "", el("span", `dot ${status}`), user === this.#me ? `${user} (you)` : user, el("span", "sr", `, ${words[status]}`),
        ...(says ? [el("span", "says", says)] : []));
      item.title = text || words[status];
      item.dataset.status = status;
      return item;
    }));
  }

  #invitations(): void {
    const dialog = byId<HTMLDialogElement>("invite-dialog");
    const names = byId<HTMLInputElement>("invite-names");
    byId("invite").addEventListener("click", () => {
      byId("invite-error").textContent = names.value = "";
      dialog.showModal();
    });
    byId("invite-cancel").addEventListener("click", () => dialog.close());
    byId("invite-form").addEventListener("submit", (event) => {
      event.preventDefault();
      const add = names.value.split(/[\s,]+/).filter(Boolean);
      if (!this.#room || add.length === 0) return;
      this.#client.room.update(this.#room.id, { add }).then(() => dialog.close(), (error: HeddleError) => {
        byId("invite-error").textContent = error.code === "forbidden" ? "Only owners and moderators of the room invite." : error.message;
      });
    });
  }
}
