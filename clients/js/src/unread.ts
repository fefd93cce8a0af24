import type { ReadMarker, RoomNotice, RoomState } from "./actions.ts";
import type { Client } from "./client.ts";
import { Emitter } from "./emitter.ts";
import type { Envelope, Message } from "./protocol.ts";

interface Count {
  epoch: string;
  /** Up to here, `base` messages are unread; those behind it are in `later`. */
  synced: number;
  base: number;
  later: number[];
  read: number;
  /** What the server was told last. */
  told: number;
}

/**
 * Counts what the user has not read, in each room, and agrees with the user's other
 * devices: it begins with the session's snapshot and follows messages and read
 * markers.
 */
export class Unread {
  readonly #client: Client;
  readonly #events = new Emitter<{ change: string }>();
  readonly #off: (() => void)[];
  #rooms = new Map<string, Count>();

  /** Begin it before connect(). */
  constructor(client: Client) {
    this.#client = client;
    const sync = ({ rooms }: { rooms: RoomState[] }): void => {
      const gone = new Set(this.#rooms.keys());
      for (const state of rooms) {
        this.sync(state);
        gone.delete(state.room);
      }
      for (const room of gone) this.#drop(room);
    };
    this.#off = [
      client.on("ready", sync),
      client.on("resumed", sync),
      client.on("message", (message) => this.#message(message)),
      client.on("event", (event) => this.#marked(event)),
      client.on("lost", ({ room, to }) => {
        if (!to) this.#drop(room);
      }),
    ];
  }

  /** Messages of others behind the user's read marker. */
  of(room: string): number {
    const c = this.#rooms.get(room);
    return c ? c.base + c.later.length : 0;
  }

  /** How far the user has read. */
  readOffset(room: string): number {
    return this.#rooms.get(room)?.read ?? 0;
  }

  /** The rooms that are counted. */
  rooms(): string[] {
    return [...this.#rooms.keys()];
  }

  /** Calls `listener` with the room whenever of() may have changed. */
  onChange(listener: (room: string) => void): () => void {
    return this.#events.on("change", listener);
  }

  /** Takes a room's state, such as the answer to room.join(). */
  sync({ room, epoch, offset, unread, read_offset }: RoomState): void {
    if (room.includes("/")) return; // a part of a room, which nobody reads
    const told = this.#rooms.get(room)?.epoch === epoch ? this.#rooms.get(room)!.told : 0;
    this.#rooms.set(room, { epoch, synced: offset, base: unread, later: [], read: read_offset, told });
    this.#events.emit("change", room);
  }

  /** The user has read the room up to an offset, on this device: counts, and tells the server. */
  read(room: string, offset: number): void {
    const c = this.#rooms.get(room);
    if (!c || offset <= Math.max(c.told, c.read)) return;
    c.told = offset;
    // What is left before the snapshot only the server can count: it will tell.
    if (offset >= c.synced) this.#mark(room, c, offset, 0);
    this.#client.read(room, offset).catch(() => {
      if (c.told === offset) c.told = 0;
    });
  }

  /** Ends listening to the client. */
  close(): void {
    for (const off of this.#off) off();
  }

  #message(message: Message): void {
    const { room, epoch, offset, from, payload } = message;
    const me = this.#client.session?.user;
    const notice = payload.data as RoomNotice;
    switch (payload.action) {
      case "message:read":
        this.#marked(message as Message<ReadMarker>);
        return;
      case "room:added":
        if (!this.#rooms.has(notice.room)) this.sync({ room: notice.room, epoch: "", offset: 0, unread: 0, read_offset: 0, ...notice.since });
        return;
      case "room:removed":
        this.#drop(notice.room);
        return;
      case "room:leave":
        if (from?.user === me) this.#drop(room);
        return;
      case "room:delete":
      case "room:expire":
        this.#drop(room);
        return;
    }
    if (payload.action !== "message:send" && payload.action !== "direct:send") return;
    const c = this.#count(room, epoch, offset);
    if (offset <= c.synced) return;
    // Who writes has read: the server moves the marker too.
    if (from?.user === me) this.#mark(room, c, offset, 0);
    else if (offset > c.read && c.later.at(-1) !== offset) {
      c.later.push(offset);
      this.#events.emit("change", room);
    }
  }

  #count(room: string, epoch: string, offset: number): Count {
    let c = this.#rooms.get(room);
    if (!c || (c.epoch !== epoch && c.epoch !== "")) {
      c = { epoch, synced: offset - 1, base: 0, later: [], read: 0, told: 0 };
      this.#rooms.set(room, c);
    }
    c.epoch = epoch;
    return c;
  }

  // In the room the marker comes as an event of everybody, in the user's own room as
  // a message that names the room.
  #marked(event: Envelope): void {
    if (event.payload?.action !== "message:read" || event.from?.user !== this.#client.session?.user) return;
    const { room = event.room, offset, epoch, unread } = event.payload.data as ReadMarker;
    const c = room === undefined ? undefined : this.#rooms.get(room);
    if (!c || (epoch !== undefined && c.epoch !== "" && c.epoch !== epoch) || offset <= c.read) return;
    this.#mark(room!, c, offset, unread);
  }

  // What lies between the marker and the snapshot only the server can count: `unread`
  // is that and what came later.
  #mark(room: string, c: Count, offset: number, unread: number): void {
    if (offset <= c.read) return;
    c.read = offset;
    c.later = c.later.filter((at) => at > offset);
    c.base = offset >= c.synced ? 0 : Math.min(c.base, Math.max(0, unread - c.later.length));
    this.#events.emit("change", room);
  }

  #drop(room: string): void {
    if (this.#rooms.delete(room)) this.#events.emit("change", room);
  }
}
