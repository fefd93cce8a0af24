import type {
  HistoryPage, HistoryQuery, MessageData, MessageDelete, MessageEdit, MessageReact, Reaction, ReceivedContent, Redacted,
} from "./actions.ts";
import type { Message } from "./protocol.ts";

/** A message as it is now. */
export interface MessageEntry {
  kind: "message";
  offset: number;
  id: string;
  /** Unix milliseconds. */
  at: number;
  user: string | undefined;
  device: string | undefined;
  content: ReceivedContent;
  /** How often it was edited: what message:edit wants to know. */
  version: number;
  /** Unix milliseconds of the newest edit. */
  editedAt: number | undefined;
  reactions: Record<string, Reaction>;
  /** Unix milliseconds after which it must not be shown; entries() leaves it out then. */
  expiresAt: number | undefined;
}

/** A message that is gone, for everybody or for the user alone. */
export interface DeletedEntry {
  kind: "deleted";
  offset: number;
  at: number;
  by: string | undefined;
  forMe: boolean;
}

/** Anything else of the room: `room:join`, `event:expired`, ... */
export interface EventEntry {
  kind: "event";
  offset: number;
  at: number;
  message: Message;
}

/** Events from `offset` to `to` that are not known. */
export interface GapEntry {
  kind: "gap";
  offset: number;
  to: number;
}

export type Entry = MessageEntry | DeletedEntry | EventEntry | GapEntry;

/** What later events say of one message. Applying one of them again changes nothing. */
interface Patch {
  edit?: { version: number; at: number; content: ReceivedContent };
  gone?: { at: number; by: string | undefined; forMe: boolean };
  /** The newest of each user and key. */
  reactions: Map<string, { key: string; user: string; remove: boolean; offset: number }>;
}

type HistoryOf = (room: string, query: HistoryQuery) => Promise<HistoryPage>;

// Messages that are not known yet and whose changes are kept: those that came while
// a page of history was on its way.
const MAX_EARLY = 500;
const CHANGES = new Set(["message:edit", "message:delete", "message:react"]);

/**
 * One room's events as a person reads them: messages with their edits, deletions
 * and reactions folded in, whether those came live, again, or with a page of
 * history, and in whatever order. It holds what it is given until reset().
 */
export class Timeline {
  readonly room: string;
  readonly #me: string;
  #epoch = "";
  #events = new Map<number, Message>();
  #oldest = 0;
  #newest = 0;
  #patches = new Map<number, Patch>();
  #early = new Set<number>();
  #cache = new Map<number, Entry | undefined>();
  #entries: Entry[] | undefined;
  /** There is older history than what was read; undefined before the first page. */
  more: boolean | undefined;

  /** `me` is the user of the client. */
  constructor(room: string, me: string) {
    this.room = room;
    this.#me = me;
  }

  get epoch(): string {
    return this.#epoch;
  }

  /** The oldest offset that is known, 0 if none is. */
  get oldest(): number {
    return this.#oldest;
  }

  /** The newest offset that is known, 0 if none is. */
  get newest(): number {
    return this.#newest;
  }

  /**
   * The lines to show, oldest first. A line that did not change is the same object as
   * before.
   */
  entries(now: number = Date.now()): readonly Entry[] {
    this.#entries ??= this.#build();
    const over = (e: Entry): boolean => e.kind === "message" && e.expiresAt !== undefined && e.expiresAt <= now;
    return this.#entries.some(over) ? this.#entries.filter((e) => !over(e)) : this.#entries;
  }

  /** The line at an offset, if there is one to show. */
  at(offset: number): Entry | undefined {
    if (!this.#cache.has(offset)) this.#cache.set(offset, this.#entry(offset));
    return this.#cache.get(offset);
  }

  /** Takes any durable event, of other rooms too. Tells whether there may be something new to show. */
  take(message: Message): boolean {
    const { action, data } = message.payload;
    if (message.room !== this.room) {
      const hidden = data as MessageDelete & { room?: string };
      if (action !== "message:delete" || hidden.for !== "me" || hidden.room !== this.room) return false;
      if (hidden.epoch !== undefined && this.#epoch !== "" && hidden.epoch !== this.#epoch) return false;
      this.#patch(hidden.offset).gone ??= { at: message.timestamp, by: this.#me, forMe: true };
      this.#touch(hidden.offset);
      return true;
    }
    if (message.epoch !== this.#epoch) {
      this.reset();
      this.#epoch = message.epoch;
    }
    const { offset } = message;
    const known = this.#events.get(offset);
    if (known && (message.as_of ?? 0) <= (known.as_of ?? 0)) return false;
    this.#events.set(offset, message);
    if (this.#oldest === 0 || offset < this.#oldest) this.#oldest = offset;
    if (offset > this.#newest) this.#newest = offset;
    this.#early.delete(offset);
    this.#touch(offset);
    if (CHANGES.has(action)) this.#change(message);
    return true;
  }

  /** Takes a page of history. */
  fill(page: HistoryPage): void {
    for (const event of page.events) this.take(event);
  }

  /**
   * Reads a page of history: the newest first, then what is older. Tells whether
   * there is still more.
   */
  async load(history: HistoryOf, limit = 50): Promise<boolean> {
    const epoch = this.#epoch;
    const query = this.more === undefined || this.oldest === 0 ? { limit } : { before: this.oldest, limit };
    const page = await history(this.room, query);
    if (this.#epoch !== epoch && this.#epoch !== page.epoch) return this.more ?? true; // the room began anew meanwhile
    this.fill(page);
    return (this.more = page.more);
  }

  /** Forgets everything. Do so, and load() again, when events of the room were lost: changes may be among them. */
  reset(): void {
    this.#events.clear();
    this.#oldest = this.#newest = 0;
    this.#patches.clear();
    this.#early.clear();
    this.#cache.clear();
    this.#entries = undefined;
    this.more = undefined;
  }

  #patch(offset: number): Patch {
    let patch = this.#patches.get(offset);
    if (!patch) {
      this.#patches.set(offset, (patch = { reactions: new Map() }));
      if (!this.#events.has(offset)) this.#early.add(offset);
      for (const first of this.#early) {
        if (this.#early.size <= MAX_EARLY) break;
        this.#early.delete(first);
        this.#patches.delete(first);
      }
    }
    return patch;
  }

  #touch(offset: number): void {
    this.#cache.delete(offset);
    this.#entries = undefined;
  }

  #change(message: Message): void {
    const { action, data } = message.payload;
    const user = message.from?.user;
    const { offset } = data as { offset: number };
    const patch = this.#patch(offset);
    if (action === "message:edit") {
      const { offset: _target, epoch: _epoch, version, ...content } = data as MessageEdit & ReceivedContent & { prior?: number };
      delete content.prior;
      if (version > (patch.edit?.version ?? 0)) patch.edit = { version, at: message.timestamp, content };
    } else if (action === "message:delete") {
      patch.gone = { at: message.timestamp, by: user, forMe: false };
    } else if (user !== undefined) {
      const { key, remove = false } = data as MessageReact;
      const last = patch.reactions.get(`${key}\0${user}`);
      if (!last || last.offset < message.offset) patch.reactions.set(`${key}\0${user}`, { key, user, remove, offset: message.offset });
    }
    this.#touch(offset);
  }

  #build(): Entry[] {
    const entries: Entry[] = [];
    let last: number | undefined;
    for (const offset of [...this.#events.keys()].sort((a, b) => a - b)) {
      if (last !== undefined && offset > last + 1) entries.push({ kind: "gap", offset: last + 1, to: offset - 1 });
      last = offset;
      const entry = this.at(offset);
      if (entry) entries.push(entry);
    }
    return entries;
  }

  #entry(offset: number): Entry | undefined {
    const message = this.#events.get(offset);
    if (!message) return undefined;
    const { action, data } = message.payload;
    const patch = this.#patches.get(offset);
    const at = message.timestamp;
    if (patch?.gone && (action === "message:send" || action === "event:redacted")) return { kind: "deleted", offset, ...patch.gone };
    if (action === "event:redacted") {
      // An edit that a newer one has replaced is redacted too: there is nothing to show of it.
      const gone = data as Redacted;
      if (gone.by === undefined && gone.for === undefined) return undefined;
      return { kind: "deleted", offset, at: gone.at ?? at, by: gone.by, forMe: gone.for === "me" };
    }
    if (action === "message:send") return this.#shown(message as Message<MessageData>, patch);
    return CHANGES.has(action) ? undefined : { kind: "event", offset, at, message };
  }

  #shown(message: Message<MessageData>, patch: Patch | undefined): MessageEntry {
    const { edited, reactions, ...sent } = message.payload.data;
    const newer = patch?.edit && patch.edit.version > (edited?.version ?? 0) ? patch.edit : undefined;
    const last = newer ?? edited;
    return {
      kind: "message", offset: message.offset, id: message.id, at: message.timestamp,
      user: message.from?.user, device: message.from?.device, content: newer?.content ?? sent,
      version: last?.version ?? 0, editedAt: last?.at, expiresAt: message.expires_at,
      reactions: fold(reactions, patch, message.as_of ?? message.offset, this.#me),
    };
  }
}

// Of history, ten users of a reaction are named and the others counted; what came
// behind it is added by user.
function fold(told: Record<string, Reaction> = {}, patch: Patch | undefined, asOf: number, me: string): Record<string, Reaction> {
  const out: Record<string, Reaction> = Object.create(null);
  for (const [key, r] of Object.entries(told)) out[key] = { ...r, users: [...r.users] };
  for (const { key, user, remove, offset } of patch?.reactions.values() ?? []) {
    if (offset <= asOf) continue;
    const r = (out[key] ??= { count: 0, users: [], me: false });
    const named = r.users.includes(user);
    const counted = named || (user === me ? r.me : remove && r.count > r.users.length);
    if (remove && counted) r.count--;
    if (!remove && !counted) r.count++;
    if (remove) r.users = r.users.filter((u) => u !== user);
    else if (!named) r.users.push(user);
    if (user === me) r.me = !remove;
    if (r.count === 0) delete out[key];
  }
  return out;
}
