import type { MessageData, Message, RoomState } from "../../../clients/js/src/index.ts";

/** A message that this window has sent and not seen come back. */
export interface Outgoing {
  nonce: string;
  text: string;
  time: number;
  /** Set by the ack: where it is stored. */
  offset?: number;
  /** Why it failed. */
  failed?: string;
}

export class Room {
  readonly id: string;
  unread = 0;
  readOffset = 0;
  /** The snapshot's newest position: its unread count holds all up to there. */
  syncedTo = 0;
  epoch = "";
  /** Durable events by offset. */
  events = new Map<number, Message>();
  outgoing = new Map<string, Outgoing>();
  members: string[] = [];
  /** How far the others have read. */
  seen = new Map<string, number>();
  /** Whether the newest page of history was read. */
  loaded = false;
  loading = false;
  more = false;

  constructor(id: string) {
    this.id = id;
  }

  get label(): string {
    return this.id.startsWith("conv:") ? this.id.slice(5) : this.id;
  }

  get newest(): number {
    return Math.max(0, ...this.events.keys());
  }

  get oldest(): number {
    return Math.min(...this.events.keys());
  }

  /** Takes an event, live or from history. False if it was known. */
  add(message: Message): boolean {
    if (this.epoch !== message.epoch) {
      this.epoch = message.epoch;
      this.events.clear();
    }
    if (this.events.has(message.offset)) return false;
    this.events.set(message.offset, message);
    const nonce = (message.payload.data as MessageData).meta?.nonce;
    if (typeof nonce === "string") this.outgoing.delete(nonce);
    return true;
  }
}

/** All rooms of the user, in the order of their labels. */
export class Rooms {
  #rooms = new Map<string, Room>();

  get(id: string): Room {
    let room = this.#rooms.get(id);
    if (!room) this.#rooms.set(id, (room = new Room(id)));
    return room;
  }

  find(id: string): Room | undefined {
    return this.#rooms.get(id);
  }

  remove(id: string): void {
    this.#rooms.delete(id);
  }

  /** Takes the snapshot of a session. */
  sync(states: RoomState[]): void {
    for (const state of states) {
      if (state.room.startsWith("user:")) continue;
      const room = this.get(state.room);
      room.unread = state.unread;
      room.syncedTo = state.offset;
      room.readOffset = state.read_offset;
    }
  }

  sorted(): Room[] {
    return [...this.#rooms.values()].sort((a, b) => a.label.localeCompare(b.label));
  }
}
