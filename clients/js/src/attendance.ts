import type { PresenceCounts, PresenceStatus } from "./actions.ts";

// Beyond so many users, those who have left are forgotten.
const MANY = 5000;
const STATES = ["online", "away", "dnd"] as const;

/** Who is present in one room, as the lists that are told of it add up. */
export class Attendance {
  readonly room: string;
  /** The numbers that were told last. */
  counts: PresenceCounts | undefined;
  #users = new Map<string, PresenceStatus>();
  #whole = false;
  #pages: Map<string, PresenceStatus> | undefined; // of a reading that goes on
  #reading = 0;

  constructor(room: string) {
    this.room = room;
  }

  of(user: string): PresenceStatus | undefined {
    return this.#users.get(user);
  }

  users(): string[] {
    return [...this.#users.keys()];
  }

  /** Whether the users do not add up to the numbers: something was missed. */
  get wrong(): boolean {
    if (!this.#whole || !this.counts) return false;
    const now = { online: 0, away: 0, dnd: 0 };
    for (const { status } of this.#users.values()) if (status !== "offline") now[status]++;
    return STATES.some((status) => now[status] !== this.counts![status]);
  }

  /** Begins to read all who are there, in place of a reading that goes on; gives the number of this one. */
  read(): number {
    this.#pages = new Map();
    return ++this.#reading;
  }

  /** Whether that reading is still the one that counts. */
  reads(reading: number): boolean {
    return this.#pages !== undefined && this.#reading === reading;
  }

  /** Ends a reading. `all`: who was not on its pages is not there. Tells whose status changed. */
  finish(all: boolean): string[] {
    const pages = this.#pages;
    this.#pages = undefined;
    this.#whole = all;
    if (!pages || !all) return [];
    const gone = this.users().filter((user) => !pages.has(user));
    this.#users = pages;
    return gone;
  }

  /** Takes a list or a page. Tells whose status changed. */
  take(told: PresenceStatus[]): string[] {
    const news = told.filter((status) => put(this.#users, status));
    for (const status of news) if (this.#pages) put(this.#pages, status);
    if (this.#users.size > MANY) for (const { user, status } of this.#users.values()) if (status === "offline") this.#users.delete(user);
    return news.map(({ user }) => user);
  }

  /** What was told before holds no longer: lists begin anew, or only numbers come. Tells who is forgotten. */
  reset(named: boolean): string[] {
    const gone = this.users();
    this.#users = new Map();
    this.#pages = undefined;
    this.#whole = named;
    return gone;
  }
}

/**
 * Notes how a user is, unless what is known is later. Without `since` the last that
 * was told holds: so are those who have left a room.
 */
export function put(known: Map<string, PresenceStatus>, status: PresenceStatus): boolean {
  const since = known.get(status.user)?.since;
  if (since !== undefined && status.since !== undefined && status.since < since) return false;
  known.set(status.user, status);
  return true;
}

/** Of what is known of one user from two sides, what holds: who has left a room may be elsewhere. */
export function later(a: PresenceStatus | undefined, b: PresenceStatus | undefined): PresenceStatus | undefined {
  if (!a || !b) return a ?? b;
  if (a.since !== undefined && b.since !== undefined) return b.since > a.since ? b : a;
  return a.status === "offline" ? b : a;
}
