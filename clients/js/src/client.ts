import { Acks } from "./acks.ts";
import type { Deliveries, Delivery } from "./actions.ts";
import { Choice } from "./choice.ts";
import { CLOSE_ABNORMAL, CLOSE_SILENT } from "./closecodes.ts";
import type { CloseAction } from "./closecodes.ts";
import { dial } from "./dial.ts";
import { Emitter } from "./emitter.ts";
import { HeddleError, fromEnvelope } from "./errors.ts";
import { Heartbeat } from "./heartbeat.ts";
import { Link } from "./link.ts";
import type { State } from "./link.ts";
import { watchNetwork } from "./network.ts";
import { settings } from "./options.ts";
import type { ClientOptions, Transport } from "./options.ts";
import { Outbox } from "./outbox.ts";
import type { RequestOptions } from "./outbox.ts";
import { isMessage } from "./protocol.ts";
import type {
  Ack, AckOf, Action, DataOf, Device, DirectSend, Envelope, ErrorData, Message, MessageContent, MessageSend, Position, Quality,
  Repeat, RoomNotice, SessionInfo, Target,
} from "./protocol.ts";
import { Refresh } from "./refresh.ts";
import { Rooms } from "./rooms.ts";
import { Session } from "./session.ts";
import type { Outcome } from "./session.ts";
import { Streams } from "./streams.ts";
import type { Lost } from "./streams.ts";
import { Tokens } from "./token.ts";

export interface StateChange {
  state: State;
  previous: State;
  /** In `waiting`: milliseconds until the next attempt; absent while the client is held offline. */
  retryInMs?: number;
}

export interface Closed {
  code: number;
  reason: string;
  /** What the client does next. */
  action: CloseAction;
}

export interface TransportChange {
  transport: Transport;
  previous: Transport | undefined;
}

export interface ClientEvents {
  state: StateChange;
  /** The session goes over another transport than before, or over the first one. */
  transport: TransportChange;
  /** A durable event: once each, in the order of its room. */
  message: Message;
  /** Anything else that happens. */
  event: Envelope;
  /** A new session is open. */
  ready: SessionInfo;
  /** The session goes on; `missed` durable events follow. */
  resumed: SessionInfo & { missed: number };
  /** Events that will not come; read the room's history to show what there is. */
  lost: Lost;
  /** Failures that no promise tells. */
  error: HeddleError;
  quality: Quality;
  /** A connection ended. */
  close: Closed;
}

// How long requests may be held back while a session moves, for the answers to those before.
const QUIET_MS = 2000;

/**
 * One user's session with a Heddle server, over as many connections as it takes.
 * `Custom` are the data of actions of your own, by name, for on().
 */
export class Client<Custom extends object = object> {
  readonly #events = new Emitter<ClientEvents>();
  readonly #actions = new Emitter<Record<string, Envelope>>();
  readonly #streams: Streams;
  readonly #outbox: Outbox;
  readonly #session: Session;
  readonly #heartbeat: Heartbeat;
  readonly #acks: Acks;
  readonly #link: Link;
  readonly #tokens: Tokens;
  readonly #refresh: Refresh;
  readonly #acking: boolean;
  #closing = false;
  #transport: Transport | undefined;
  #unwatch: (() => void) | undefined;

  /** Actions on rooms: create, join, leave, update, delete, members, history. */
  readonly room: Rooms;

  constructor(options: ClientOptions) {
    const config = settings(options);
    this.#acking = options.acks ?? false;
    this.#streams = new Streams(config.streams, {
      deliver: (message) => this.#deliver(message),
      moved: (room) => this.#moved(room),
      history: (room, after) => this.room.history(room, { after, limit: 200 }),
      lost: (lost) => this.#events.emit("lost", lost),
    });
    this.#session = new Session(
      { device: options.device, attributes: options.attributes, namespaces: options.namespaces, acks: this.#acking }, this.#streams, options.rooms ?? []);
    this.#outbox = new Outbox(config.outbox, {
      write: (json) => this.#link.write(json),
      suspect: () => this.#heartbeat.check(),
    });
    this.#heartbeat = new Heartbeat(
      () => void this.ping().catch(() => {}), () => this.#link.drop(CLOSE_SILENT, "silent"), config.probeMs);
    this.#acks = new Acks(config.ackDelayMs, (room) => this.#streams.position(room), (ack) => void this.#link.write(JSON.stringify(ack)));
    this.#tokens = new Tokens(options.getToken ?? options.token);
    this.#refresh = new Refresh(() => this.refresh(), (error) => this.#events.emit("error", error));
    this.#link = new Link(config.link, {
      choice: new Choice(config.choice),
      dial: (transport, token, handlers) => dial(config.dial, transport, token, handlers),
      tokens: this.#tokens,
      opening: (token) => this.#session.opening(token),
      received: (envelope) => this.#received(envelope),
      heard: () => this.#heartbeat.heard(),
      quiet: () => this.#outbox.hold(QUIET_MS),
      release: () => this.#outbox.release(),
      changed: (state, previous, retryInMs) =>
        this.#events.emit("state", retryInMs === undefined ? { state, previous } : { state, previous, retryInMs }),
      ended: (code, reason, action) => this.#ended(code, reason, action),
      troubled: (error) => this.#events.emit("error", error),
      failed: (error) => this.#failed(error),
    });
    this.room = new Rooms(this as Client, this.#streams, this.#session);
  }

  get state(): State {
    return this.#link.state;
  }

  /** The session, once one was opened. */
  get session(): SessionInfo | undefined {
    return this.#session.info;
  }

  /** What the session goes over, once one was opened. */
  get transport(): Transport | undefined {
    return this.#transport;
  }

  /** Requests without an answer yet. */
  get pending(): number {
    return this.#outbox.size;
  }

  /** How far a room's events were delivered to listeners. */
  position(room: string): Position | undefined {
    return this.#streams.position(room);
  }

  /**
   * Calls `listener` for every event of that name, or for everything that happens of an
   * action, such as `message:send`, after `message` or `event`. Returns the way to stop.
   */
  on<K extends keyof ClientEvents>(name: K, listener: (value: ClientEvents[K]) => void): () => void;
  on<A extends keyof (Deliveries & Custom) & string>(action: A, listener: (envelope: Delivery<A, (Deliveries & Custom)[A]>) => void): () => void;
  on(action: `${string}:${string}`, listener: (envelope: Delivery<string, unknown>) => void): () => void;
  on(name: string, listener: (value: never) => void): () => void {
    if (name.includes(":")) return this.#actions.on(name, listener as (value: Envelope) => void);
    return this.#events.on(name as keyof ClientEvents, listener as () => void);
  }

  /** Connects, and stays connected until close() or until the server says that it is of no use. */
  connect(): void {
    this.#closing = false;
    this.#unwatch ??= watchNetwork({
      online: () => this.#link.restored(),
      offline: () => this.#link.drop(CLOSE_ABNORMAL, "offline"),
      visible: () => {
        this.#link.looked();
        this.#heartbeat.check();
      },
      changed: () => {
        this.#link.restored();
        this.#heartbeat.check();
      },
    });
    this.#link.connect();
  }

  /** Ends the session. Requests without an answer are rejected with `closed`. */
  async close(): Promise<void> {
    this.#closing = true;
    if (this.state === "active" || this.state === "draining") {
      this.#acks.flush();
      await this.request("session:close", {}, { timeout: 1000, retries: 0 }).catch(() => {});
    }
    this.#session.forget();
    this.#link.stop();
    this.#rest("closed", "the client was closed");
  }

  /** Ends the connection as a lost network would; the client reconnects and resumes. */
  drop(): void {
    this.#link.drop(CLOSE_ABNORMAL, "dropped");
  }

  /** Ends the connection and opens none until goOnline(). Requests wait. */
  goOffline(): void {
    this.#link.hold();
  }

  goOnline(): void {
    this.#link.release();
  }

  /**
   * Sends an action and resolves with its ack. Until then it is repeated under the
   * same id, over reconnects too, so that it happens once.
   */
  request<A extends Action | (string & {})>(
    action: A, to: { room?: string; data?: DataOf<A> } = {}, options?: RequestOptions,
  ): Promise<Ack<AckOf<A>>> {
    if (this.state === "closed") return Promise.reject(new HeddleError("closed", "the client is closed", { action, room: to.room }));
    return this.#outbox.request(action, to.room, to.data, options) as Promise<Ack<AckOf<A>>>;
  }

  /** Sends a message to a room. An ephemeral one is not repeated after a lost connection. */
  send(room: string, message: MessageSend, options: RequestOptions = {}): Promise<Ack<{ repeat?: boolean }>> {
    return this.request("message:send", { room, data: message }, message.ephemeral ? { retries: 0, ...options } : options);
  }

  /** Says that the user has read the room up to an offset. */
  read(room: string, offset: number, options?: RequestOptions): Promise<Ack<AckOf<"message:read">>> {
    return this.request("message:read", { room, data: this.#target(room, offset) }, options);
  }

  /** Changes a message of the user's own; `version` is the one that is changed, 0 as it was sent. */
  edit(room: string, offset: number, version: number, content: MessageContent, options?: RequestOptions): Promise<Ack<AckOf<"message:edit">>> {
    return this.request("message:edit", { room, data: { ...content, ...this.#target(room, offset), version } }, options);
  }

  /** Deletes a message for all, or hides it from the user alone (`me`). */
  delete(room: string, offset: number, whom: "all" | "me" = "all", options?: RequestOptions): Promise<Ack<Repeat>> {
    return this.request("message:delete", { room, data: { ...this.#target(room, offset), for: whom } }, options);
  }

  /** Adds a reaction of the user's to a message, or takes it away. */
  react(room: string, offset: number, key: string, remove = false, options?: RequestOptions): Promise<Ack<Repeat>> {
    return this.request("message:react", { room, data: { ...this.#target(room, offset), key, remove } }, options);
  }

  /** Sends a message to a user, or to one device, which must be there now. */
  direct(message: DirectSend, options: RequestOptions = {}): Promise<Ack<AckOf<"direct:send">>> {
    return this.request("direct:send", { data: message }, message.device ? { retries: 0, ...options } : options);
  }

  /** The user's devices. */
  async devices(options?: RequestOptions): Promise<Device[]> {
    return (await this.request("session:devices", {}, options)).data.devices;
  }

  /**
   * Gives the server a fresh token of getToken and resolves with the Unix
   * milliseconds of its expiry. The client does so by itself when the server says
   * that the token expires. Rooms that the token does not grant are `lost`.
   */
  async refresh(options?: RequestOptions): Promise<number> {
    const token = await this.#tokens.fresh();
    const { expires_at, left = [] } = (await this.request("auth:refresh", { data: { token } }, options)).data;
    for (const room of left) {
      this.#session.requested.delete(room);
      this.#streams.lose(room, "left", undefined);
    }
    return expires_at;
  }

  /** Resolves with the round trip time in milliseconds. */
  async ping(options: RequestOptions = { retries: 0 }): Promise<number> {
    const begin = performance.now();
    await this.request("session:ping", {}, options);
    return performance.now() - begin;
  }

  #target(room: string, offset: number): Target {
    const epoch = this.#streams.position(room)?.epoch;
    return epoch ? { offset, epoch } : { offset };
  }

  #received(envelope: Envelope): void {
    switch (envelope.type) {
      case "ack":
        if (this.#session.answers(envelope)) this.#opened(this.#session.opened(envelope.payload?.data as SessionInfo));
        else this.#outbox.settle(envelope);
        return;
      case "error":
        this.#error(envelope);
        return;
      case "message":
        if (isMessage(envelope)) this.#streams.accept(envelope);
        return;
      case "event":
        this.#event(envelope);
    }
  }

  #error(envelope: Envelope): void {
    if (!this.#session.answers(envelope) && this.#outbox.settle(envelope)) return;
    const error = fromEnvelope(envelope.payload?.data as ErrorData, envelope.payload?.action, envelope.room);
    if (this.#session.answers(envelope)) {
      this.#link.refused(error, this.#session.info !== undefined);
    } else if (envelope.ref === undefined) {
      this.#link.postpone(error.retryAfterMs);
      this.#events.emit("error", error);
    }
  }

  #event(envelope: Envelope): void {
    const data = envelope.payload?.data;
    switch (envelope.payload?.action) {
      case "session:drain":
        this.#link.drain((data as { reconnect_in_ms?: number }).reconnect_in_ms ?? 0);
        break;
      case "session:quality":
        this.#events.emit("quality", data as Quality);
        break;
      case "auth:expiring":
        if (this.#tokens.renewable) this.#refresh.start();
    }
    this.#events.emit("event", envelope);
    this.#acted(envelope);
  }

  #opened(outcome: Outcome): void {
    const { info } = outcome;
    this.#heartbeat.start(info.heartbeat_ms);
    const moved = this.#link.established(info.max_frame_bytes);
    if (moved) this.#outbox.moved();
    else this.#outbox.open();
    const previous = this.#transport;
    const { transport } = this.#link;
    this.#transport = transport;
    if (transport !== previous) this.#events.emit("transport", { transport, previous });
    if (outcome.resumed && moved) return; // nothing has happened that needs to be told
    if (outcome.resumed) this.#events.emit("resumed", { ...info, missed: outcome.missed });
    else this.#events.emit("ready", info);
    for (const { room, since } of outcome.rejoin) {
      this.room.join(room, { since }).catch((error: HeddleError) => this.#streams.lose(room, error.code, undefined));
    }
  }

  #deliver(message: Message): void {
    this.#moved(message.room);
    this.#events.emit("message", message);
    this.#acted(message);
    const { action, data } = message.payload;
    if (action === "room:delete" || action === "room:expire" || (action === "room:leave" && message.from?.user === this.session?.user)) this.room.left(message.room);
    if (action === "room:removed") this.room.left((data as RoomNotice).room);
  }

  #acted(envelope: Envelope): void {
    if (envelope.payload) this.#actions.emit(envelope.payload.action, envelope);
  }

  #moved(room: string): void {
    if (this.#acking) this.#acks.mark(room);
  }

  #ended(code: number, reason: string, action: CloseAction): void {
    this.#heartbeat.stop();
    this.#acks.clear();
    this.#refresh.stop();
    this.#streams.pause();
    if (action === "reopen") this.#session.forget();
    this.#outbox.pause();
    this.#events.emit("close", { code, reason, action });
  }

  #failed(error: HeddleError): void {
    this.#rest("closed", error.message, error);
    if (!this.#closing) this.#events.emit("error", error);
  }

  #rest(code: string, message: string, cause?: unknown): void {
    this.#unwatch?.();
    this.#unwatch = undefined;
    this.#outbox.failAll(code, message, cause);
  }
}
