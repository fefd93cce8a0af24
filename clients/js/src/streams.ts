import type { HeddleError } from "./errors.ts";
import type { HistoryPage, Message, Position, RoomState } from "./protocol.ts";
import { Stream } from "./stream.ts";

/** Events of a room that the client will not get: those behind `from`, up to `to`. */
export interface Lost {
  room: string;
  /** A code of the server, or `not_kept`, `too_far`, `epoch`, `left`. */
  reason: string;
  from?: Position;
  to?: Position;
}

export interface StreamsConfig {
  /** Events of one room that are held while earlier ones are missing. */
  hold: number;
  /** Milliseconds that the server has to fill a gap before history is asked. */
  gapMs: number;
  /** Events of one room that are read from history to catch up; beyond that they are `lost`. */
  catchUp: number;
}

export interface StreamsDeps {
  deliver(message: Message): void;
  /** A repeat came, or the position moved without an event: the server should hear of it. */
  moved(room: string): void;
  history(room: string, after: number): Promise<HistoryPage>;
  lost(lost: Lost): void;
}

/** The streams of all rooms, and the healing of their gaps. */
export class Streams {
  readonly #config: StreamsConfig;
  readonly #deps: StreamsDeps;
  #streams = new Map<string, Stream>();
  #timers = new Map<string, ReturnType<typeof setTimeout>>();
  /** Up to where history is being read. */
  #filling = new Map<Stream, Position>();

  constructor(config: StreamsConfig, deps: StreamsDeps) {
    this.#config = config;
    this.#deps = deps;
  }

  position(room: string): Position | undefined {
    return this.#streams.get(room)?.position;
  }

  positions(): Record<string, Position> {
    const all: Record<string, Position> = {};
    for (const [room, stream] of this.#streams) all[room] = stream.position;
    return all;
  }

  rooms(): string[] {
    return [...this.#streams.keys()];
  }

  /** Follows a room from a position on, unless it is followed already. */
  start(room: string, at: Position): Stream {
    let stream = this.#streams.get(room);
    if (!stream) {
      stream = new Stream(room, at, this.#config.hold, (message) => this.#deps.deliver(message));
      this.#streams.set(room, stream);
    }
    return stream;
  }

  stop(room: string): void {
    this.#cancel(room);
    this.#streams.delete(room);
  }

  /** Takes a durable event. A room that is not followed yet begins with the first that comes. */
  accept(message: Message): void {
    const { room, epoch, offset } = message;
    const stream = this.#streams.get(room) ?? this.start(room, { epoch, offset: offset - 1 });
    switch (stream.accept(message)) {
      case "repeat":
        this.#deps.moved(room);
        break;
      case "overflow":
        this.#cancel(room);
        void this.#fill(stream, offset);
        break;
      case "held":
        this.#watch(stream, offset);
        break;
      case "delivered":
        if (stream.firstHeld === undefined) this.#cancel(room);
    }
  }

  /** The connection is lost: what is held comes again with the resume. */
  pause(): void {
    for (const room of [...this.#timers.keys()]) this.#cancel(room);
    for (const stream of this.#streams.values()) stream.forgetHeld();
  }

  /** Reads what lies between the client's position and the room's newest, where nobody else will send it. */
  catchUp(state: RoomState): void {
    const at = { epoch: state.epoch, offset: state.offset };
    const stream = this.start(state.room, at);
    const from = stream.position;
    if (from.epoch !== at.epoch) {
      if (from.offset > 0) this.#skip(stream, at, "epoch");
      else void this.#refill(stream, at);
    } else if (at.offset - from.offset > this.#config.catchUp) this.#skip(stream, at, "too_far");
    else if (at.offset > from.offset) void this.#fill(stream, at.offset);
  }

  /** The server cannot replay the room: goes on at its newest position. */
  lose(room: string, reason: string, state: RoomState | undefined): void {
    const stream = this.#streams.get(room);
    if (!state) {
      this.stop(room);
      this.#deps.lost(stream ? { room, reason, from: stream.position } : { room, reason });
    } else this.#skip(this.start(room, { epoch: "", offset: 0 }), { epoch: state.epoch, offset: state.offset }, reason);
  }

  // Gives the server a moment to fill a gap before history is asked.
  #watch(stream: Stream, upTo: number): void {
    const { room } = stream;
    if (this.#timers.has(room) || this.#filling.has(stream)) return;
    this.#timers.set(room, setTimeout(() => {
      this.#timers.delete(room);
      if (stream.firstHeld !== undefined) void this.#fill(stream, upTo);
    }, this.#config.gapMs));
  }

  // The room had no events when it was joined: its first epoch is no loss.
  #refill(stream: Stream, at: Position): Promise<void> {
    stream.jump({ epoch: at.epoch, offset: 0 });
    return this.#fill(stream, at.offset);
  }

  async #fill(stream: Stream, upTo: number): Promise<void> {
    const busy = this.#filling.get(stream);
    this.#filling.set(stream, further(busy, { epoch: stream.position.epoch, offset: upTo }));
    if (busy) return;
    let reason: string | undefined;
    try {
      reason = await this.#read(stream);
    } catch (error) {
      reason = (error as HeddleError).code ?? "internal";
    }
    const end = this.#filling.get(stream)!;
    this.#filling.delete(stream);
    if (reason !== "closed" && this.#streams.get(stream.room) === stream) this.#settle(stream, end, reason);
  }

  // Reads history up to where #filling says, which may move meanwhile; tells why not,
  // if it cannot be read.
  async #read(stream: Stream): Promise<string | undefined> {
    const { room } = stream;
    const begin = stream.position;
    for (let goal; before(stream.position, (goal = this.#filling.get(stream)!)); ) {
      const { epoch, offset } = stream.position;
      const page = await this.#deps.history(room, offset);
      if (this.#streams.get(room) !== stream) return undefined;
      if (stream.position.epoch !== epoch) continue; // the answer is about a life that is over
      if (page.epoch !== epoch) return "epoch";
      if (epoch === begin.epoch && offset === begin.offset) this.#tellTrimmed(stream, page.events);
      stream.fill(page.events, offset);
      const ended = !page.more || stream.position.offset === offset;
      if (ended && this.#filling.get(stream) === goal) return undefined; // else the page is older than what is asked for
    }
    return undefined;
  }

  // What is still missing up to the end will not come. Without a reason history was read
  // to its end, and leaves out only what has expired: that is no loss.
  #settle(stream: Stream, end: Position, reason: string | undefined): void {
    while (before(stream.position, end)) {
      const at = { epoch: end.epoch, offset: Math.min(end.offset, (stream.firstHeld ?? Infinity) - 1) };
      if (reason === undefined) stream.jump(at);
      else this.#skip(stream, at, reason);
    }
    if (stream.firstHeld !== undefined) this.#watch(stream, stream.firstHeld);
    this.#deps.moved(stream.room);
  }

  // History that begins later than it was asked for has been trimmed.
  #tellTrimmed(stream: Stream, events: Message[]): void {
    const from = stream.position;
    const first = events[0]?.offset ?? 0;
    if (first <= from.offset + 1) return;
    this.#deps.lost({ room: stream.room, reason: "not_kept", from, to: { epoch: from.epoch, offset: first - 1 } });
  }

  #skip(stream: Stream, at: Position, reason: string): void {
    const from = stream.position;
    stream.jump(at);
    this.#deps.lost({ room: stream.room, reason, from, to: at });
    this.#deps.moved(stream.room);
  }

  #cancel(room: string): void {
    clearTimeout(this.#timers.get(room));
    this.#timers.delete(room);
  }
}

const before = (at: Position, end: Position): boolean => at.epoch === end.epoch && at.offset < end.offset;

const further = (a: Position | undefined, b: Position): Position => (a && before(b, a) ? a : b);
