import { HeddleError } from "../../../clients/js/src/index.ts";
import type { Unread } from "../../../clients/js/src/chat.ts";
import type { Client } from "../../../clients/js/src/index.ts";
import { byId, coalesce, el, KeyedList } from "./dom.ts";
import type { Room, Rooms } from "./model.ts";

/** The list of rooms with what is unread, and the form that creates and joins them. */
export class RoomList {
  readonly #client: Client;
  readonly #rooms: Rooms;
  readonly #unread: Unread;
  readonly #open: (room: Room) => void;
  readonly #list = new KeyedList(byId("rooms"));
  current: Room | undefined;

  /** Shows the rooms as they are now. */
  readonly render = coalesce(() => this.#render());

  constructor(client: Client, rooms: Rooms, unread: Unread, open: (room: Room) => void) {
    this.#client = client;
    this.#rooms = rooms;
    this.#unread = unread;
    this.#open = open;
    byId("room-form").addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#enter((id) => this.#create(id), true);
    });
    byId("join").addEventListener("click", () => {
      if (byId<HTMLFormElement>("room-form").reportValidity()) void this.#enter((id) => this.#join(id), false);
    });
  }

  /** Joins a room and opens it. */
  async join(id: string): Promise<void> {
    await this.#join(id);
    this.#open(this.#rooms.get(id));
  }

  async #enter(action: (id: string) => Promise<void>, create: boolean): Promise<void> {
    const name = byId<HTMLInputElement>("room-name");
    const members = byId<HTMLInputElement>("room-members");
    const error = byId("room-error");
    const id = name.value.includes(":") ? name.value : `conv:${name.value}`;
    error.textContent = "";
    try {
      await action(id);
      name.value = members.value = "";
      this.#open(this.#rooms.get(id));
    } catch (thrown) {
      error.textContent = thrown instanceof HeddleError ? explain(thrown, id, create) : String(thrown);
    }
  }

  async #create(id: string): Promise<void> {
    const members = byId<HTMLInputElement>("room-members").value.split(/[\s,]+/).filter(Boolean);
    await this.#client.room.create(id, { members });
  }

  async #join(id: string): Promise<void> {
    this.#unread.sync({ ...(await this.#client.room.join(id)), room: id });
  }

  #render(): void {
    const rooms = this.#rooms.sorted();
    byId("no-rooms").hidden = rooms.length > 0;
    this.#list.show(rooms.map((room) => {
      const current = room === this.current;
      return { key: room.id, signature: `${this.#unread.of(room.id)} ${current}`, make: () => this.#item(room, current) };
    }));
    const unread = rooms.reduce((sum, room) => sum + this.#unread.of(room.id), 0);
    document.title = unread > 0 ? `(${unread}) Heddle chat` : "Heddle chat";
  }

  #item(room: Room, current: boolean): HTMLElement {
    const button = el("button", "", el("span", "label", room.label));
    button.type = "button";
    button.dataset.room = room.id;
    if (current) button.setAttribute("aria-current", "true");
    const unread = this.#unread.of(room.id);
    if (unread > 0) button.append(el("span", "unread", String(unread), el("span", "sr", " unread")));
    button.addEventListener("click", () => this.#open(room));
    return el("li", "", button);
  }
}

const WELL_FORMED = /^[a-z][a-z0-9_-]*:[A-Za-z0-9_.-]+$/;

function explain(error: HeddleError, id: string, create: boolean): string {
  switch (error.code) {
    case "conflict":
      return "There is a room of that name already: join it.";
    case "not_found": // to create: of the type
      return create || !id.startsWith("conv:") ? wanted(error) : "There is no room of that name: create it.";
    case "invalid":
      if (error.field?.startsWith("data.members")) return `A name that nobody can have is among the invited: ${error.message}.`;
      return WELL_FORMED.test(id) ? error.message : wanted(error);
    case "forbidden":
      return create ? error.message : "You are not invited to that room.";
    default:
      return error.message;
  }
}

const wanted = (error: HeddleError): string =>
  `Want type:id with a type that this server has, such as conv:lunch, or a name without a colon: ${error.message}.`;
