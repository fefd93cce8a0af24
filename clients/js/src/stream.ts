import type { Message, Position } from "./protocol.ts";

const PAST_EPOCHS = 4;

export type Accepted = "delivered" | "held" | "repeat" | "overflow";

/**
 * One room's durable events: drops repeats by (epoch, offset), and holds what is
 * ahead of a gap until the gap is filled. It holds at most `limit` events; more
 * are refused ("overflow") and must be read from history.
 */
export class Stream {
  readonly room: string;
  readonly #limit: number;
  readonly #deliver: (message: Message) => void;
  #epoch: string;
  #offset: number;
  #held = new Map<number, Message>();
  #first = 0; // the lowest of #held, unless that was let go
  #past: string[] = [];

  constructor(room: string, at: Position, limit: number, deliver: (message: Message) => void) {
    this.room = room;
    this.#epoch = at.epoch;
    this.#offset = at.offset;
    this.#limit = limit;
    this.#deliver = deliver;
  }

  /** The last event that was delivered, with all before it. */
  get position(): Position {
    return { epoch: this.#epoch, offset: this.#offset };
  }

  /** The offset of the first event that waits for earlier ones, if any does. */
  get firstHeld(): number | undefined {
    if (this.#held.size === 0) return undefined;
    if (!this.#held.has(this.#first)) {
      this.#first = Infinity;
      for (const offset of this.#held.keys()) if (offset < this.#first) this.#first = offset;
    }
    return this.#first;
  }

  accept(message: Message): Accepted {
    if (message.epoch !== this.#epoch) {
      if (this.#past.includes(message.epoch)) return "repeat";
      this.#turn(message.epoch);
    }
    if (message.offset <= this.#offset || this.#held.has(message.offset)) return "repeat";
    if (message.offset > this.#offset + 1) {
      if (this.#held.size >= this.#limit) return "overflow";
      this.#held.set(message.offset, message);
      if (this.#held.size === 1 || message.offset < this.#first) this.#first = message.offset;
      return "held";
    }
    this.#pass(message);
    this.#release();
    return "delivered";
  }

  /**
   * Takes a page of history that begins right behind `after`. What the page leaves
   * out is not there to be had: offsets that are missing between its events are
   * skipped.
   */
  fill(events: Message[], after: number): void {
    for (const message of events) {
      if (message.epoch !== this.#epoch || message.offset <= this.#offset) continue;
      if (this.#offset < after) return;
      this.#held.delete(message.offset);
      this.#pass(message);
    }
    this.#release();
  }

  /** Goes to a position without delivering what is before it; held events behind it stay. */
  jump(at: Position): void {
    if (at.epoch !== this.#epoch) this.#turn(at.epoch);
    this.#offset = at.offset;
    for (const offset of this.#held.keys()) if (offset <= at.offset) this.#held.delete(offset);
    this.#release();
  }

  /** Forgets what is held; a resume brings it again. */
  forgetHeld(): void {
    this.#held.clear();
  }

  #turn(epoch: string): void {
    this.#past.push(this.#epoch);
    if (this.#past.length > PAST_EPOCHS) this.#past.shift();
    this.#epoch = epoch;
    this.#offset = 0;
    this.#held.clear();
  }

  #release(): void {
    for (let next; (next = this.#held.get(this.#offset + 1)); ) {
      this.#held.delete(next.offset);
      this.#pass(next);
    }
  }

  // The position moves first: a listener that asks for it sees the event counted.
  #pass(message: Message): void {
    this.#offset = message.offset;
    this.#deliver(message);
  }
}
