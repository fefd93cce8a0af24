import type { PresenceCounts, PresenceList, PresenceRefusal, PresenceSet, PresenceStatus } from "./actions.ts";
import { Attendance, later, put } from "./attendance.ts";
import type { Client } from "./client.ts";
import { Emitter } from "./emitter.ts";
import type { HeddleError } from "./errors.ts";
import type { Envelope } from "./protocol.ts";

// The protocol's limit of one subscription; pages of a room that are read.
const MAX_USERS = 100;
const PAGE = 200;
const MAX_PAGES = 10;
const SUFFIX = "/presence";
// A room whose numbers do not add up is read again, but not oftener than this.
const MEND_MS = 5000;

/**
 * Who is there: sets the user's own status, and follows that of others over
 * reconnects. With a server that does not know presence nobody has a status.
 */
export class Presence {
  readonly #client: Client;
  readonly #events = new Emitter<{ change: string[]; counts: { room: string; counts: PresenceCounts } }>();
  readonly #off: (() => void)[];
  #watched = new Set<string>();
  #users = new Map<string, PresenceStatus>();
  #rooms = new Map<string, Attendance>();
  #mends = new Map<Attendance, { timer?: ReturnType<typeof setTimeout>; last: number }>();
  #available: boolean | undefined;

  constructor(client: Client) {
    this.#client = client;
    this.#off = [
      client.on("event", (event) => this.#heard(event)),
      client.on("ready", () => this.#again()),
      client.on("resumed", () => this.#again()),
    ];
  }

  /** Whether the server knows presence; undefined until it was asked. */
  get available(): boolean | undefined {
    return this.#available;
  }

  /** The last that was told of a user. */
  of(user: string): PresenceStatus | undefined {
    let status = this.#users.get(user);
    for (const there of this.#rooms.values()) status = later(status, there.of(user));
    return status;
  }

  /** Says what others are to see of the user, on all devices. */
  async update(status: PresenceSet): Promise<void> {
    await this.#ask(() => this.#client.request("presence:update", { data: status }));
  }

  /**
   * Follows users, beside those that are followed already. Resolves with those who may
   * not be watched, and why; if all may not, it rejects.
   */
  async watch(users: string[]): Promise<PresenceRefusal[]> {
    const fresh = [...new Set(users)].filter((user) => !this.#watched.has(user));
    for (const user of fresh) this.#watched.add(user);
    try {
      const refused = await this.#subscribe(fresh);
      for (const { user } of refused) this.#watched.delete(user);
      return refused;
    } catch (error) {
      for (const user of fresh) if (!this.#users.has(user)) this.#watched.delete(user);
      throw error;
    }
  }

  async unwatch(users: string[]): Promise<void> {
    const gone = users.filter((user) => this.#watched.delete(user));
    for (const user of gone) this.#users.delete(user);
    for (let i = 0; i < gone.length; i += MAX_USERS) {
      await this.#ask(() => this.#client.request("presence:unsubscribe", { data: { users: gone.slice(i, i + MAX_USERS) } }));
    }
  }

  /** Follows who is in a room, and how many; of large ones only the counts come. */
  async watchRoom(room: string): Promise<void> {
    let there = this.#rooms.get(room);
    if (!there) this.#rooms.set(room, (there = new Attendance(room)));
    await this.#follow(there);
  }

  async unwatchRoom(room: string): Promise<void> {
    const there = this.#rooms.get(room);
    if (!there) return;
    this.#rooms.delete(room);
    this.#unmend(there);
    this.#changed(there.users());
    await this.#ask(() => this.#client.request("presence:unsubscribe", { room }));
  }

  /** Calls `listener` with the users whose status was told. */
  onChange(listener: (users: string[]) => void): () => void {
    return this.#events.on("change", listener);
  }

  /** Calls `listener` with a room's numbers, whenever they are told. */
  onCounts(listener: (told: { room: string; counts: PresenceCounts }) => void): () => void {
    return this.#events.on("counts", listener);
  }

  /** Ends listening to the client. */
  close(): void {
    for (const off of this.#off) off();
    for (const there of this.#rooms.values()) this.#unmend(there);
  }

  // A new session has no subscriptions; to a resumed one they are no news.
  #again(): void {
    const quietly = (): void => {};
    void this.#subscribe([...this.#watched]).catch(quietly);
    for (const there of this.#rooms.values()) void this.#follow(there).catch(quietly);
  }

  async #subscribe(users: string[]): Promise<PresenceRefusal[]> {
    const all: PresenceRefusal[] = [];
    for (let i = 0; i < users.length; i += MAX_USERS) {
      const part = users.slice(i, i + MAX_USERS);
      const { users: told = [], refused = [] } = (await this.#ask(() => this.#client.request("presence:subscribe", { data: { users: part } })))?.data ?? {};
      this.#changed(told.filter((status) => put(this.#users, status)).map(({ user }) => user));
      all.push(...refused);
    }
    return all;
  }

  async #follow(there: Attendance): Promise<void> {
    const { room } = there;
    const reading = there.read();
    let after: string | undefined;
    for (let page = 0; page < MAX_PAGES; page++) {
      const data = after === undefined ? { limit: PAGE } : { after, limit: PAGE };
      const told = (await this.#ask(() => this.#client.request("presence:subscribe", { room, data })))?.data;
      if (!told || !there.reads(reading) || this.#rooms.get(room) !== there) return;
      this.#count(there, told);
      if (!told.users) return this.#changed(there.reset(false)); // only the numbers are told
      this.#changed(there.take(told.users));
      after = told.next;
      if (after === undefined) break;
    }
    this.#changed(there.finish(after === undefined));
    if (there.wrong) this.#mend(there);
  }

  // Something that was told of the room has not come, or is still on its way.
  #mend(there: Attendance): void {
    const mend = this.#mends.get(there) ?? { last: -Infinity };
    if (mend.timer !== undefined) return;
    const again = (): void => {
      this.#mends.set(there, { last: performance.now() });
      void this.#follow(there).catch(() => {});
    };
    const wait = mend.last + MEND_MS - performance.now();
    if (wait <= 0) again();
    else this.#mends.set(there, { ...mend, timer: setTimeout(again, wait) });
  }

  #unmend(there: Attendance): void {
    clearTimeout(this.#mends.get(there)?.timer);
    this.#mends.delete(there);
  }

  async #ask<T>(request: () => Promise<T>): Promise<T | undefined> {
    if (this.#available === false) return undefined;
    try {
      const answer = await request();
      this.#available = true;
      return answer;
    } catch (error) {
      if ((error as HeddleError).code !== "unknown_action") throw error;
      this.#available = false;
      return undefined;
    }
  }

  #heard({ room = "", payload }: Envelope): void {
    const { action, data } = payload ?? {};
    if (action !== "presence:update" && action !== "presence:counts") return;
    const there = room.endsWith(SUFFIX) ? this.#rooms.get(room.slice(0, -SUFFIX.length)) : undefined;
    if (there) this.#told(there, data as PresenceList);
    else if (room.startsWith("user:")) this.#changed(put(this.#users, data as PresenceStatus) ? [(data as PresenceStatus).user] : []);
  }

  #told(there: Attendance, told: PresenceList): void {
    const { users, reset = false } = told;
    const gone = reset || !users ? there.reset(users !== undefined) : [];
    this.#count(there, told);
    this.#changed([...new Set([...gone, ...there.take(users ?? [])])]);
    if (told.online !== undefined && there.wrong) this.#mend(there);
  }

  #count(there: Attendance, { online, away = 0, dnd = 0 }: Partial<PresenceCounts>): void {
    if (online === undefined) return;
    there.counts = { online, away, dnd };
    this.#events.emit("counts", { room: there.room, counts: there.counts });
  }

  #changed(users: string[]): void {
    if (users.length > 0) this.#events.emit("change", users);
  }
}
