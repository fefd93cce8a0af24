import { HeddleError } from "../../../clients/js/src/index.ts";
import type { MessageEntry, Readers, Typing, Unread } from "../../../clients/js/src/chat.ts";
import type { Client, RequestOptions, TypingUpdate } from "../../../clients/js/src/index.ts";
import { Composer } from "./composer.ts";
import { byId, coalesce, KeyedList } from "./dom.ts";
import type { Outgoing, PendingEdit, Room } from "./model.ts";
import { patient, refusal } from "./refusal.ts";
import { rows } from "./rows.ts";

const PAGE = 50;
const NEAR_BOTTOM_PX = 80;
const READ_DELAY_MS = 250;
const MAX_MENTIONS = 50; // the protocol's limit
const IMPATIENT: RequestOptions = { retry: (_, waitMs) => patient(waitMs) };

export interface RoomViewDeps {
  client: Client;
  me: string;
  device: string;
  unread: Unread;
  readers: Readers;
  typing: Typing;
}

/** The open room: its messages with their delivery state, what can be done with them, and its history. */
export class RoomView {
  readonly #deps: RoomViewDeps;
  readonly #list = new KeyedList(byId("messages"));
  readonly #scroll = byId("scroll");
  readonly #composer: Composer;
  #room: Room | undefined;
  #atBottom = true;
  #readTimer: ReturnType<typeof setTimeout> | undefined;
  #removing: MessageEntry | undefined;

  readonly render = coalesce(() => this.#render());

  constructor(deps: RoomViewDeps) {
    this.#deps = deps;
    this.#composer = new Composer({
      typing: deps.typing,
      send: (room, text) => this.#send(room, text),
      edit: (room, message, text) => void this.#edit(room, message, text),
      newest: () => this.#newestOwn(),
    });
    byId("older").addEventListener("click", () => void this.#older());
    this.#scroll.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    document.addEventListener("visibilitychange", () => this.#read());
    const dialog = byId<HTMLDialogElement>("delete-dialog");
    dialog.addEventListener("close", () => {
      if (dialog.returnValue === "all" || dialog.returnValue === "me") this.#delete(dialog.returnValue);
    });
  }

  get room(): Room | undefined {
    return this.#room;
  }

  show(room: Room | undefined): void {
    this.#room = room;
    this.#atBottom = true;
    byId("leave").hidden = byId("typing").hidden = !room;
    byId("empty").hidden = room !== undefined;
    byId("room-title").textContent = room?.label ?? "No room open";
    this.#composer.show(room);
    this.render();
    if (room && room.timeline.more === undefined) void this.load(room);
  }

  /** Reads the next page of the room's history: the newest first. */
  async load(room: Room): Promise<void> {
    if (room.loading) return;
    room.loading = true;
    try {
      await room.timeline.load(async (id, query) => {
        const page = await this.#deps.client.room.history(id, query);
        for (const event of page.events) this.#deps.readers.take(event);
        return page;
      }, PAGE);
    } catch {
      room.timeline.more = false;
    } finally {
      room.loading = false;
    }
    this.render();
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
    const retry = (error: HeddleError, waitMs: number): boolean => {
      outgoing.waits = error.message;
      this.render();
      return patient(waitMs);
    };
    try {
      // The nonce is the id too: sending again after a failure cannot store it twice.
      const ack = await this.#deps.client.send(
        room.id, { text: outgoing.text, ...mentions(outgoing.text, room.members), meta: { nonce: outgoing.nonce } }, { id: outgoing.nonce, retry });
      if (ack.offset !== undefined) outgoing.offset = ack.offset;
      if (room.timeline.at(outgoing.offset ?? 0)) room.outgoing.delete(outgoing.nonce);
    } catch (error) {
      outgoing.failed = refusal(error);
    }
    delete outgoing.waits;
    this.render();
  }

  #takeBack(room: Room, outgoing: Outgoing): void {
    room.outgoing.delete(outgoing.nonce);
    this.#composer.write(outgoing.text);
    this.render();
  }

  async #edit(room: Room, message: MessageEntry, text: string): Promise<void> {
    const edit: PendingEdit = { text };
    room.edits.set(message.offset, edit);
    this.render();
    try {
      await this.#deps.client.edit(room.id, message.offset, message.version, { text }, IMPATIENT);
      if (room.edits.get(message.offset) === edit) room.edits.delete(message.offset);
    } catch (error) {
      edit.failed = error instanceof HeddleError && error.code === "conflict" ? { words: "it was changed elsewhere", again: false } : refusal(error);
    }
    this.render();
  }

  #react(message: MessageEntry, key: string, remove: boolean): void {
    if (!this.#room) return;
    this.#deps.client.react(this.#room.id, message.offset, key, remove, IMPATIENT).catch((error) => this.#complain(error));
  }

  #ask(message: MessageEntry): void {
    this.#removing = message;
    byId("delete-all").hidden = message.user !== this.#deps.me;
    byId("delete-text").textContent = message.content.text ?? "";
    const dialog = byId<HTMLDialogElement>("delete-dialog");
    dialog.returnValue = "";
    dialog.showModal();
  }

  #delete(whom: "all" | "me"): void {
    if (!this.#room || !this.#removing) return;
    this.#deps.client.delete(this.#room.id, this.#removing.offset, whom, IMPATIENT).catch((error) => this.#complain(error));
  }

  #complain(error: unknown): void {
    byId("people-error").textContent = refusal(error).words;
  }

  #newestOwn(): MessageEntry | undefined {
    const own = this.#room?.timeline.entries().findLast((e) => e.kind === "message" && e.user === this.#deps.me && e.content.text !== undefined);
    return own as MessageEntry | undefined;
  }

  async #older(): Promise<void> {
    const room = this.#room;
    if (!room?.timeline.more) return;
    const height = this.#scroll.scrollHeight - this.#scroll.scrollTop;
    this.#atBottom = false;
    await this.load(room);
    if (room !== this.#room) return;
    this.#render();
    this.#scroll.scrollTop = this.#scroll.scrollHeight - height;
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
    if (!room || room.timeline.more === undefined || !this.#atBottom || document.visibilityState !== "visible") return;
    if (this.#deps.unread.of(room.id) === 0) return;
    this.#readTimer = setTimeout(() => this.#deps.unread.read(room.id, room.timeline.newest), READ_DELAY_MS);
  }

  #render(): void {
    const room = this.#room;
    byId("older").hidden = !room?.timeline.more;
    this.#list.show(room ? rows(room, this.#deps, {
      react: (message, key, remove) => this.#react(message, key, remove),
      edit: (message) => this.#composer.change(message),
      remove: (message) => this.#ask(message),
      retry: (outgoing) => void this.#deliver(room, outgoing),
      takeBack: (outgoing) => this.#takeBack(room, outgoing),
      discard: (outgoing) => (room.outgoing.delete(outgoing.nonce), this.render()),
      editAgain: (message, text) => void this.#edit(room, message, text),
      dismiss: (offset) => (room.edits.delete(offset), this.render()),
    }) : []);
    byId("typing").textContent = room ? typers(this.#deps.typing.who(room.id)) : "";
    if (this.#atBottom) this.#scroll.scrollTop = this.#scroll.scrollHeight;
    this.#read();
  }
}

/** Whom a text means, with an @ before their names: members, where there are any. */
function mentions(text: string, members: string[]): { mentions?: string[] } {
  const names = new Set([...text.matchAll(/@([a-z0-9_.-]+)/g)].map(([, name]) => name?.replace(/[.-]+$/, "") ?? "").filter(Boolean));
  const meant = [...names].filter((user) => members.length === 0 || members.includes(user)).slice(0, MAX_MENTIONS);
  return meant.length > 0 ? { mentions: meant } : {};
}

function typers({ users, others }: TypingUpdate): string {
  const count = users.length + others;
  if (count === 0) return "";
  const named = users.slice(0, 3);
  if (count > named.length) named.push(`${count - named.length} more`);
  return `${named.join(", ")} ${count === 1 ? "is" : "are"} typing …`;
}
