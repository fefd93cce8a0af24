import { HeddleError } from "../../../clients/js/src/index.ts";
import type { Client, Message, MessageData } from "../../../clients/js/src/index.ts";
import { byId, clockTime, coalesce, el, KeyedList } from "./dom.ts";
import type { Outgoing, Room } from "./model.ts";

const PAGE = 50;
const NEAR_BOTTOM_PX = 80;
const READ_DELAY_MS = 250;
const GROUP_MS = 5 * 60_000;

interface Row {
  key: string;
  signature: string;
  make: () => HTMLElement;
}

/** The open room: its messages with their delivery state, its history, and the composer. */
export class RoomView {
  readonly #client: Client;
  readonly #me: string;
  readonly #changed: () => void;
  readonly #list = new KeyedList(byId("messages"));
  readonly #scroll = byId("scroll");
  #room: Room | undefined;
  #atBottom = true;
  #readTimer: ReturnType<typeof setTimeout> | undefined;

  readonly render = coalesce(() => this.#render());

  constructor(client: Client, me: string, changed: () => void) {
    this.#client = client;
    this.#me = me;
    this.#changed = changed;
    const text = byId<HTMLTextAreaElement>("text");
    const submit = (): void => {
      if (text.value.trim() && this.#room) this.#send(this.#room, text.value.trim());
      text.value = "";
      text.focus();
    };
    byId("composer").addEventListener("submit", (event) => {
      event.preventDefault();
      submit();
    });
    text.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      submit();
    });
    byId("older").addEventListener("click", () => void this.#older());
    this.#scroll.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    document.addEventListener("visibilitychange", () => this.#read());
  }

  get room(): Room | undefined {
    return this.#room;
  }

  show(room: Room | undefined): void {
    this.#room = room;
    this.#atBottom = true;
    byId("composer").hidden = byId("leave").hidden = !room;
    byId("empty").hidden = room !== undefined;
    byId("room-title").textContent = room?.label ?? "No room open";
    byId("members").textContent = room?.members.join(", ") ?? "";
    this.render();
    if (!room) return;
    if (!room.loaded) void this.load(room);
    void this.showMembers(room);
    if (matchMedia("(pointer: fine)").matches) byId("text").focus();
  }

  /** Reads the newest page of the room's history. */
  async load(room: Room): Promise<void> {
    await this.#history(room, {});
    room.loaded = true;
  }

  async showMembers(room: Room): Promise<void> {
    try {
      const { members } = await this.#client.room.members(room.id);
      room.members = members.map((m) => m.user);
    } catch {
      room.members = [];
    }
    if (room === this.#room) byId("members").textContent = room.members.join(", ");
  }

  #send(room: Room, text: string): void {
    const outgoing: Outgoing = { nonce: crypto.randomUUID?.() ?? String(Math.random()), text, time: Date.now() };
    room.outgoing.set(outgoing.nonce, outgoing);
    this.#atBottom = true;
    void this.#deliver(room, outgoing);
  }

  async #deliver(room: Room, outgoing: Outgoing): Promise<void> {
    delete outgoing.failed;
    this.render();
    try {
      // The nonce is the id too: sending again after a failure cannot store it twice.
      const ack = await this.#client.send(room.id, { text: outgoing.text, meta: { nonce: outgoing.nonce } }, { id: outgoing.nonce });
      if (ack.offset !== undefined) outgoing.offset = ack.offset;
      if (room.events.has(outgoing.offset ?? 0)) room.outgoing.delete(outgoing.nonce);
    } catch (error) {
      outgoing.failed = error instanceof HeddleError ? error.message : String(error);
    }
    this.render();
  }

  async #older(): Promise<void> {
    const room = this.#room;
    if (!room || !room.more) return;
    const height = this.#scroll.scrollHeight - this.#scroll.scrollTop;
    this.#atBottom = false;
    await this.#history(room, { before: room.oldest });
    this.#render();
    this.#scroll.scrollTop = this.#scroll.scrollHeight - height;
  }

  async #history(room: Room, query: { before?: number }): Promise<void> {
    if (room.loading) return;
    room.loading = true;
    try {
      const page = await this.#client.room.history(room.id, { ...query, limit: PAGE });
      for (const message of page.events) room.add(message);
      room.more = page.more;
    } catch {
      room.more = false;
    } finally {
      room.loading = false;
    }
    this.render();
  }

  #scrolled(): void {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroll;
    this.#atBottom = scrollHeight - scrollTop - clientHeight < NEAR_BOTTOM_PX;
    if (this.#atBottom) this.#read();
    if (scrollTop < 40 && scrollHeight > clientHeight) void this.#older();
  }

  // What is on the screen at the end of the list was read.
  #read(): void {
    clearTimeout(this.#readTimer);
    const room = this.#room;
    if (!room || !room.loaded || !this.#atBottom || document.visibilityState !== "visible") return;
    const newest = room.newest;
    if (newest <= room.readOffset && room.unread === 0) return;
    this.#readTimer = setTimeout(() => {
      room.readOffset = newest;
      room.unread = 0;
      this.#changed();
      this.#client.read(room.id, newest).catch(() => {});
    }, READ_DELAY_MS);
  }

  #render(): void {
    const room = this.#room;
    byId("older").hidden = !room?.more;
    this.#list.show(room ? rows(room, this.#me, (o) => void this.#deliver(room, o)) : []);
    if (this.#atBottom) this.#scroll.scrollTop = this.#scroll.scrollHeight;
    this.#read();
  }
}

function rows(room: Room, me: string, retry: (outgoing: Outgoing) => void): Row[] {
  const all: Row[] = [];
  let previous: Message | undefined;
  const seenBy = new Map<number, string[]>();
  const events = [...room.events.values()].sort((a, b) => a.offset - b.offset);
  const lastOwn = events.findLast((e) => e.from?.user === me && e.payload.action === "message:send");
  for (const [user, offset] of room.seen) if (lastOwn && offset >= lastOwn.offset) seenBy.set(lastOwn.offset, [...(seenBy.get(lastOwn.offset) ?? []), user]);
  for (const event of events) {
    if (previous && event.offset > previous.offset + 1) all.push(gap(previous.offset + 1, event.offset - 1));
    all.push(event.payload.action === "message:send" ? bubble(event, previous, me, seenBy.get(event.offset)) : note(event));
    previous = event;
  }
  for (const outgoing of room.outgoing.values()) all.push(pending(outgoing, retry));
  return all;
}

function bubble(event: Message, previous: Message | undefined, me: string, seenBy: string[] = []): Row {
  const own = event.from?.user === me;
  const follows = previous?.payload.action === "message:send" && previous.from?.user === event.from?.user &&
    event.timestamp - previous.timestamp < GROUP_MS;
  const { text, body } = event.payload.data as MessageData;
  const state = own ? ` · stored #${event.offset}${seenBy.length > 0 ? ` · read by ${seenBy.join(", ")}` : ""}` : ` · #${event.offset}`;
  return {
    key: `e${event.offset}`,
    signature: `${event.id} ${follows} ${state}`,
    make: () => {
      const item = el("li", `msg${own ? " own" : ""}${follows ? "" : " first"}`,
        el("span", "who", event.from?.user ?? "server"), el("div", "bubble", text ?? JSON.stringify(body)),
        el("span", "meta", clockTime(event.timestamp) + state));
      item.dataset.offset = String(event.offset);
      return item;
    },
  };
}

function pending(outgoing: Outgoing, retry: (outgoing: Outgoing) => void): Row {
  const { nonce, text, time, offset, failed } = outgoing;
  const state = failed ? `failed: ${failed}` : offset === undefined ? "sending …" : `stored #${offset}`;
  return {
    key: nonce,
    signature: state,
    make: () => {
      const meta = el("span", "meta", `${clockTime(time)} · ${state}`);
      if (failed) {
        const again = el("button", "quiet", "Send again");
        again.type = "button";
        again.addEventListener("click", () => retry(outgoing));
        meta.append(again);
      }
      return el("li", `msg own first${failed ? " failed" : offset === undefined ? " sending" : ""}`, el("div", "bubble", text), meta);
    },
  };
}

function note(event: Message): Row {
  const who = event.from?.user ?? "somebody";
  const deeds: Record<string, string> = { "room:create": "created the room", "room:join": "joined", "room:leave": "left", "event:expired": "wrote something that has expired" };
  return {
    key: `e${event.offset}`,
    signature: event.id,
    make: () => el("li", "note", `${who} ${deeds[event.payload.action] ?? event.payload.action}`),
  };
}

function gap(from: number, to: number): Row {
  return { key: `g${from}`, signature: String(to), make: () => el("li", "note gap", `${to - from + 1} events are not there any more (#${from} to #${to})`) };
}
