import type { Client } from "./client.ts";
import type { RequestOptions } from "./outbox.ts";
import type { Ack, Actions, HistoryPage, HistoryQuery, MembersPage, Position, RoomCreate, RoomJoined } from "./protocol.ts";
import type { Session } from "./session.ts";
import type { Streams } from "./streams.ts";

// Their members last: a session finds itself in them, and whoever is missing there has left.
const LASTING = "conv:";

/** The actions on rooms. Joining and leaving also move the client's streams. */
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
      if (!room.startsWith(LASTING)) this.#session.requested.add(room);
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
    this.#session.requested.delete(room);
    this.#streams.stop(room);
  }

  /** A page of the members, in the order of their names. */
  async members(room: string, page: { after?: string; limit?: number } = {}, options?: RequestOptions): Promise<MembersPage> {
    return (await this.#client.request("room:members", { room, data: page }, options)).data;
  }

  /** A page of the room's events, oldest first. */
  async history(room: string, query: HistoryQuery = {}, options?: RequestOptions): Promise<HistoryPage> {
    return (await this.#client.request("room:history", { room, data: query }, options)).data;
  }
}
