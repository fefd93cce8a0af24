import type { Namespace } from "./actions.ts";
import { newId } from "./ids.ts";
import type { Envelope, Position, RoomState, SessionInfo } from "./protocol.ts";
import type { Streams } from "./streams.ts";

// The protocol's limits. Rooms beyond them are joined one by one, and replayed from where they were joined.
const MAX_ROOMS = 100;
const MAX_POSITIONS = 1000;

export interface SessionConfig {
  device: string | undefined;
  attributes: Record<string, string> | undefined;
  namespaces: Namespace[] | undefined;
  acks: boolean;
}

export interface Outcome {
  info: SessionInfo;
  /** The old session goes on. */
  resumed: boolean;
  /** Durable events that happened while the client was away and follow now. */
  missed: number;
  /** Rooms that the client had joined and the new session is not in. */
  rejoin: { room: string; since: Position }[];
}

/** The session as the client knows it: opens it, resumes it, and brings the streams in line with the answer. */
export class Session {
  readonly #config: SessionConfig;
  readonly #streams: Streams;
  /** Rooms that the client asked for and that a new session would not join by itself. */
  readonly requested = new Set<string>();
  #info: SessionInfo | undefined;
  #ref = "";

  constructor(config: SessionConfig, streams: Streams, rooms: string[]) {
    this.#config = config;
    this.#streams = streams;
    for (const room of rooms) this.requested.add(room);
  }

  get info(): SessionInfo | undefined {
    return this.#info;
  }

  /** The session is gone: the next opening asks for a new one. Positions stay, to catch up from. */
  forget(): void {
    this.#info = undefined;
  }

  /** Whether an answer belongs to the opening. */
  answers(envelope: Envelope): boolean {
    return envelope.ref !== undefined && envelope.ref === this.#ref;
  }

  /** `token`: if the connection has not brought it. */
  opening(token?: string): Envelope {
    this.#ref = newId();
    const { device, attributes, namespaces, acks } = this.#config;
    if (this.#info) {
      const { session, resume_token } = this.#info;
      const positions = Object.fromEntries(Object.entries(this.#streams.positions()).slice(0, MAX_POSITIONS));
      const data = { token, session, resume_token, namespaces, acks, positions };
      return { v: 1, type: "event", id: this.#ref, payload: { action: "session:resume", data } };
    }
    const data = { token, device, attributes, namespaces, acks, rooms: [...this.requested].slice(0, MAX_ROOMS) };
    return { v: 1, type: "event", id: this.#ref, payload: { action: "session:open", data } };
  }

  opened(info: SessionInfo): Outcome {
    const resumed = info.recovered === true;
    const replayed = resumed || info.reason === "positions_lost";
    const states = new Map(info.rooms.map((state) => [state.room, state]));
    const lost = new Set<string>();
    for (const { room, reason } of info.lost ?? []) {
      lost.add(room);
      this.#streams.lose(room, reason, states.get(room));
    }
    const absent = this.#absent(states);
    let missed = 0;
    for (const state of info.rooms) {
      if (lost.has(state.room)) continue;
      const at = this.#streams.position(state.room);
      if (at && at.epoch === state.epoch) missed += Math.max(0, state.offset - at.offset);
      if (!replayed) this.#streams.catchUp(state);
      // Only the server knows from where it replays a room without a position: the first event will tell.
      else if (!at && state.epoch === "") this.#streams.start(state.room, state);
    }
    this.#info = info;
    const rejoin = resumed ? [] : absent.filter(({ room }) => this.requested.has(room));
    for (const { room, since } of absent) {
      if (rejoin.some((r) => r.room === room)) continue;
      // Of rooms without durable events, such as a presence room, nothing is lost.
      if (since.epoch === "") this.#streams.stop(room);
      else this.#streams.lose(room, "left", undefined);
    }
    return { info, resumed, missed, rejoin };
  }

  #absent(states: Map<string, RoomState>): { room: string; since: Position }[] {
    return Object.entries(this.#streams.positions())
      .filter(([room]) => !states.has(room))
      .map(([room, since]) => ({ room, since }));
  }
}
