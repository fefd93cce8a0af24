import type { PresenceCounts, PresenceSet, PresenceStatus, PresenceUpdate } from "./actions.ts";
import type { Client } from "./client.ts";
import { Emitter } from "./emitter.ts";
import { HeddleError } from "./errors.ts";
import type { Envelope } from "./protocol.ts";

// The protocol's limit of one subscription; pages of a room that are read.
const MAX_USERS = 100;
const PAGE = 200;
const MAX_PAGES = 10;
const SUFFIX = "/presence";

/**
 * Who is there: sets the user's own status, and follows that of others over
 * reconnects. With a server that does not know presence nobody has a status.
 */
export class Presence {
  readonly #client: Client;
  readonly #events = new Emitter<{ change: string[]; counts: { room: string; counts: PresenceCounts } }>();
  readonly #off: (() => void)[];
  #watched = new Set<string>();
  #rooms = new Set<string>();
  #known = new Map<string, PresenceStatus>();
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
    return this.#known.get(user);
  }

  /** Says what others are to see of the user, on all devices. */
  async update(status: PresenceSet): Promise<void> {
    await this.#ask(() => this.#client.request("presence:update", { data: status }));
  }

  /** Follows users, beside those that are followed already. */
  async watch(users: string[]): Promise<void> {
    const fresh = [...new Set(users)].filter((user) => !this.#watched.has(user));
    for (const user of fresh) this.#watched.add(user);
    await this.#subscribe(fresh);
  }

  async unwatch(users: string[]): Promise<void> {
    const gone = users.filter((user) => this.#watched.delete(user));
    for (const user of gone) this.#known.delete(user);
    for (let i = 0; i < gone.length; i += MAX_USERS) {
      await this.#ask(() => this.#client.request("presence:unsubscribe", { data: { users: gone.slice(i, i + MAX_USERS) } }));
    }
  }

  /** Follows who is in a room, and how many; of large ones only the counts come. */
  async watchRoom(room: string): Promise<void> {
    this.#rooms.add(room);
    await this.#follow(room);
  }

  async unwatchRoom(room: string): Promise<void> {
    if (this.#rooms.delete(room)) await this.#ask(() => this.#client.request("presence:unsubscribe", { room }));
  }

  /** Calls `listener` with the users whose status was told. */
  onChange(listener: (users: string[]) => void): () => void {
    return this.#events.on("change", listener);
  }

  onCounts(listener: (told: { room: string; counts: PresenceCounts }) => void): () => void {
    return this.#events.on("counts", listener);
  }

  /** Ends listening to the client. */
  close(): void {
    for (const off of this.#off) off();
  }

  // A new session has no subscriptions; to a resumed one they are no news.
  #again(): void {
    const quietly = (): void => {};
    void this.#subscribe([...this.#watched]).catch(quietly);
    for (const room of this.#rooms) void this.#follow(room).catch(quietly);
  }

  async #subscribe(users: string[]): Promise<void> {
    for (let i = 0; i < users.length; i += MAX_USERS) {
      const part = users.slice(i, i + MAX_USERS);
      const ack = await this.#ask(() => this.#client.request("presence:subscribe", { data: { users: part } }));
      this.#learn(ack?.data.users);
    }
  }

  async #follow(room: string): Promise<void> {
    let after: string | undefined;
    for (let page = 0; page < MAX_PAGES; page++) {
      const data = after === undefined ? { limit: PAGE } : { after, limit: PAGE };
      const told = (await this.#ask(() => this.#client.request("presence:subscribe", { room, data })))?.data;
      if (!told) return;
      const { online, away, dnd, users, next } = told;
      if (online !== undefined && page === 0) this.#events.emit("counts", { room, counts: { online, away: away ?? 0, dnd: dnd ?? 0 } });
      this.#learn(users);
      if (next === undefined) return;
      after = next;
    }
  }

  async #ask<T>(request: () => Promise<T>): Promise<T | undefined> {
    if (this.#available === false) return undefined;
    try {
      const answer = await request();
      this.#available = true;
      return answer;
    } catch (error) {
      if (!(error instanceof HeddleError) || error.code !== "unknown_action") throw error;
      this.#available = false;
      return undefined;
    }
  }

  #heard({ room, payload }: Envelope): void {
    if (payload?.action === "presence:counts" && room?.endsWith(SUFFIX)) {
      this.#events.emit("counts", { room: room.slice(0, -SUFFIX.length), counts: payload.data as PresenceCounts });
    }
    if (payload?.action !== "presence:update") return;
    const told = payload.data as PresenceUpdate;
    this.#learn("users" in told ? told.users : [told]);
  }

  #learn(told: PresenceStatus[] | undefined): void {
    const news = told?.filter(({ user, since = 0 }) => since >= (this.#known.get(user)?.since ?? 0)) ?? [];
    if (news.length === 0) return;
    for (const status of news) this.#known.set(status.user, status);
    this.#events.emit("change", news.map(({ user }) => user));
  }
}
