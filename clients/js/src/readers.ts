import type { ReadMarker } from "./actions.ts";
import type { Client } from "./client.ts";
import { Emitter } from "./emitter.ts";
import type { Envelope, Message } from "./protocol.ts";

interface Room {
  epoch: string;
  /** Offsets, by user. */
  read: Map<string, number>;
}

/**
 * How far each user has read a room, as far as it was told: by read markers, and by
 * messages, for who writes has read. It never goes back while the room lives.
 */
export class Readers {
  readonly #events = new Emitter<{ change: string }>();
  readonly #off: (() => void)[];
  #rooms = new Map<string, Room>();

  constructor(client: Client) {
    this.#off = [
      client.on("message", (message) => this.take(message)),
      client.on("event", (event) => this.#marked(event)),
      client.on("lost", ({ room, to }) => {
        if (!to) this.#drop(room);
      }),
    ];
  }

  /** The newest offset of a room that a user has read, 0 if that is not known. */
  of(room: string, user: string): number {
    return this.#rooms.get(room)?.read.get(user) ?? 0;
  }

  /** Who has read the event at an offset of a room, in the order of their names. */
  who(room: string, offset: number): string[] {
    return [...(this.#rooms.get(room)?.read ?? [])].filter(([, read]) => read >= offset).map(([user]) => user).sort();
  }

  /** Takes a message: those that the client gets come by themselves, pages of history are to be given. */
  take(message: Message): void {
    const { room, epoch, offset, from, payload } = message;
    switch (payload.action) {
      case "message:send":
        this.#read(room, epoch, from?.user, offset);
        return;
      case "message:read":
        this.#marked(message);
        return;
      case "room:delete":
      case "room:expire":
        this.#drop(room);
    }
  }

  /** Calls `listener` with the room whenever somebody has read further. */
  onChange(listener: (room: string) => void): () => void {
    return this.#events.on("change", listener);
  }

  /** Ends listening to the client. */
  close(): void {
    for (const off of this.#off) off();
  }

  // In the room the marker comes as an event, in the reader's own room as a message that
  // names the room.
  #marked(event: Envelope): void {
    if (event.payload?.action !== "message:read") return;
    const { room = event.room, epoch, offset } = event.payload.data as ReadMarker;
    if (room !== undefined) this.#read(room, epoch, event.from?.user, offset);
  }

  #read(name: string, epoch: string | undefined, user: string | undefined, offset: number): void {
    if (user === undefined) return;
    let room = this.#rooms.get(name);
    if (!room || (epoch !== undefined && epoch !== room.epoch)) this.#rooms.set(name, (room = { epoch: epoch ?? "", read: new Map() }));
    if (offset <= (room.read.get(user) ?? 0)) return;
    room.read.set(user, offset);
    this.#events.emit("change", name);
  }

  #drop(room: string): void {
    if (this.#rooms.delete(room)) this.#events.emit("change", room);
  }
}
