import type { Client } from "./client.ts";
import type { RequestOptions } from "./outbox.ts";
import type { Ack, Actions, HistoryPage, HistoryQuery, MembersPage, Position, RoomCreate, RoomJoined, RoomUpdate } from "./protocol.ts";
import type { Session } from "./session.ts";
import type { Streams } from "./streams.ts";

/** The actions on rooms. Joining, leaving and deleting also move the client's streams. */
export class Rooms {
  readonly #client: Client;
  readonly #streams: Streams;
  readonly #session: Session;

  constructor(client: Client, streams: Streams, session: Session) {
    this.#client = client;
    this.#streams = streams;
    this.#session = session;
  }

  /** Makes a room, such as `conv:42`, with the caller as its owner and the members given. */
  async create(room: string, data: RoomCreate = {}, options?: RequestOptions): Promise<Ack<Actions["room:create"]["ack"]>> {
    const ack = await this.#client.request("room:create", { room, data }, options);
    // One before: the room's first event comes to its creator too.
    if (ack.epoch !== undefined && ack.offset !== undefined) this.#streams.start(room, { epoch: ack.epoch, offset: ack.offset - 1 });
    return ack;
  }

  /** Joins a room. With `since`, what happened behind that position follows as messages. */
  async join(room: string, data: { since?: Position } = {}, options?: RequestOptions): Promise<RoomJoined> {
    const followed = this.#streams.position(room) !== undefined;
    // Before the answer: the events behind it may share its frame.
    if (data.since) this.#streams.start(room, data.since);
    try {
      const { data: joined } = await this.#client.request("room:join", { room, data }, options);
      // Where members last, a session finds itself in the room, or has left it.
      if (!joined.member) this.#session.requested.add(room);
      if (data.since && joined.recovered === false) this.#streams.lose(room, joined.reason ?? "not_kept", { ...joined, room });
      if (!data.since) this.#streams.start(room, { epoch: joined.epoch, offset: joined.offset });
      return joined;
    } catch (error) {
      if (!followed) this.#streams.stop(room);
      throw error;
    }
  }

  async leave(room: string, options?: RequestOptions): Promise<void> {
    await this.#client.request("room:leave", { room, data: {} }, options);
    this.left(room);
  }

  /** Changes what a room is called, and who is in it: all of it or nothing. */
  update(room: string, data: RoomUpdate, options?: RequestOptions): Promise<Ack<Actions["room:update"]["ack"]>> {
    return this.#client.request("room:update", { room, data }, options);
  }

  /** Deletes a room and all that was said in it. */
  async delete(room: string, options?: RequestOptions): Promise<void> {
    await this.#client.request("room:delete", { room, data: {} }, options);
    this.left(room);
  }

  /** There is nothing more to follow in a room. The client calls it by itself. */
  left(room: string): void {
    this.#session.requested.delete(room);
    this.#streams.stop(room);
  }

  /** A page of the members, in the order of their names. */
  async members(room: string, page: { after?: string; limit?: number } = {}, options?: RequestOptions): Promise<MembersPage> {
    return (await this.#client.request("room:members", { room, data: page }, options)).data;
  }

  /** A page of the room's events as they are now, oldest first. */
  async history(room: string, query: HistoryQuery = {}, options?: RequestOptions): Promise<HistoryPage> {
    const at = this.#streams.position(room);
    const { data } = await this.#client.request("room:history", { room, data: query }, options);
    // The page was read when all this had happened already.
    const asOf = Math.max(data.events.at(-1)?.offset ?? 0, at?.epoch === data.epoch ? at.offset : 0);
    for (const event of data.events) event.as_of = asOf;
    return data;
  }
}
