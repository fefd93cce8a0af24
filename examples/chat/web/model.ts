import { Timeline } from "../../../clients/js/src/chat.ts";
import type { MessageData, Message, RoomState } from "../../../clients/js/src/index.ts";
import type { Refusal } from "./refusal.ts";

/** A message that this window has sent and not seen come back. */
export interface Outgoing {
  nonce: string;
  text: string;
  time: number;
  /** Set by the ack: where it is stored. */
  offset?: number;
  /** What the server has said of it, which will be sent again in a moment. */
  waits?: string;
  failed?: Refusal;
}

/** An edit that this window has made and that is not stored yet. */
export interface PendingEdit {
  text: string;
  failed?: Refusal;
}

export class Room {
  readonly id: string;
  readonly timeline: Timeline;
  outgoing = new Map<string, Outgoing>();
  /** By the offset of the message. */
  edits = new Map<number, PendingEdit>();
  members: string[] = [];
  loading = false;

  constructor(id: string, me: string) {
    this.id = id;
    this.timeline = new Timeline(id, me);
  }

  get label(): string {
    return this.id.startsWith("conv:") ? this.id.slice(5) : this.id;
  }

  /** Takes an event of the room; a message of this window's own is outgoing no more. */
  take(message: Message): void {
    this.timeline.take(message);
    const nonce = (message.payload.data as MessageData).meta?.nonce;
    if (message.payload.action === "message:send" && typeof nonce === "string") this.outgoing.delete(nonce);
  }
}

/** All rooms of the user, in the order of their labels. */
export class Rooms {
  readonly #me: string;
  #rooms = new Map<string, Room>();

  constructor(me: string) {
    this.#me = me;
  }

  get(id: string): Room {
    let room = this.#rooms.get(id);
    if (!room) this.#rooms.set(id, (room = new Room(id, this.#me)));
    return room;
  }

  find(id: string): Room | undefined {
    return this.#rooms.get(id);
  }

  remove(id: string): void {
    this.#rooms.delete(id);
  }

  all(): Room[] {
    return [...this.#rooms.values()];
  }

  /** Takes the snapshot of a session: rooms that it does not have were left elsewhere. */
  sync(states: RoomState[]): void {
    const there = new Set(states.map(({ room }) => room).filter(isRoom));
    for (const id of there) this.get(id);
    for (const id of this.#rooms.keys()) if (!there.has(id)) this.#rooms.delete(id);
  }

  sorted(): Room[] {
    return this.all().sort((a, b) => a.label.localeCompare(b.label));
  }
}

/** Whether people talk there: not a user's own room, nor a part of a room. */
export const isRoom = (id: string): boolean => !id.startsWith("user:") && !id.includes("/");
