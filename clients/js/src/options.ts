import type { ChoiceConfig } from "./choice.ts";
import { json } from "./codec.ts";
import type { Codec } from "./codec.ts";
import type { SocketConstructor } from "./connection.ts";
import type { Namespace } from "./actions.ts";
import { HeddleError } from "./errors.ts";
import type { LinkConfig } from "./link.ts";
import type { OutboxConfig } from "./outbox.ts";
import type { StreamsConfig } from "./streams.ts";
import type { TokenSource } from "./token.ts";

export type Transport = "websocket" | "polling";

export interface ClientOptions {
  /** The server's endpoint, such as `wss://chat.example.com/v1/ws`. */
  url: string;
  /** The endpoint for long-polling; by default `poll/` beside the other one. */
  pollUrl?: string;
  /**
   * The transports to use: the first to begin with, the second where that does not get
   * through; from polling the client moves to a WebSocket as soon as it can. By default
   * `["websocket", "polling"]`.
   */
  transports?: Transport[];
  /** Remembers for some hours that WebSockets do not get through here: localStorage where there is one. `null`: nothing does. */
  storage?: ChoiceConfig["storage"] | null;
  /** How WebSockets carry envelopes: JSON, or `msgpack` of `@heddle-rt/client/msgpack`. */
  codec?: Codec;
  /** A token that never changes. With it alone, an expired token closes the client. */
  token?: string;
  /** Fetches a token; called again when the one before was refused. */
  getToken?: Exclude<TokenSource, string>;
  /** The name of this device among the user's. */
  device?: string;
  attributes?: Record<string, string>;
  /** What the session takes part in: `["/"]`. Without `/` it joins no rooms. */
  namespaces?: Namespace[];
  /** Rooms to join beside those that the user is a member of. */
  rooms?: string[];
  /** Acknowledge what was delivered; the server then repeats what was not. */
  acks?: boolean;
  /** The WebSocket class; by default the global one. Without any the client polls. */
  WebSocket?: unknown;
  /** For long-polling; by default the global one. */
  fetch?: typeof fetch;
  /** Milliseconds to wait for an answer: 10,000. */
  timeout?: number;
  /** Repeats after a timeout or a retryable error: 5. */
  retries?: number;
  /** Requests that may wait, offline or unanswered: 1,000. */
  queue?: number;
  /** Milliseconds after which a request that still waits is given up; by default never. */
  queueExpiry?: number;
  /** The first range of the reconnect delay, in milliseconds: 500. */
  backoffBase?: number;
  /** The largest reconnect delay, in milliseconds: 10,000. */
  backoffCap?: number;
  /** Milliseconds for token, connection and session together: 10,000. */
  handshakeTimeout?: number;
  /** Milliseconds for a WebSocket and the session over it, where polling is left to be tried: 5,000. */
  websocketTimeout?: number;
  /** Milliseconds that a WebSocket must last, or polling is preferred after three of them: 30,000. */
  soundAfter?: number;
  /** Milliseconds between the first attempts to leave polling, and later ever more: 10,000. */
  upgradePause?: number;
  /** Milliseconds for the answer of a suspected server: 5,000. */
  probeTimeout?: number;
  /** Milliseconds to gather acknowledgements: 1,000. */
  ackDelay?: number;
  /** Events of a room held behind a gap: 512. */
  hold?: number;
  /** Milliseconds until a gap is filled from history: 1,000. */
  gapTimeout?: number;
  /** Events of a room read from history after a session was lost: 1,000. */
  catchUp?: number;
}

export interface Settings {
  dial: Dial;
  link: LinkConfig;
  choice: ChoiceConfig;
  outbox: OutboxConfig;
  streams: StreamsConfig;
  probeMs: number;
  ackDelayMs: number;
}

/** What connections are made with. */
export interface Dial {
  socket: SocketConstructor | undefined;
  url: string;
  codec: Codec;
  pollUrl: string;
  fetch: typeof fetch;
}

// The server knows ids for five minutes; a margin for the clock and the way.
const IDEMPOTENCY_MS = 285_000;
// Half of what the server lets be in flight before it stops reading.
const WINDOW = 128;
// How long a network is known to want polling. It costs little: a WebSocket is tried right away.
const REMEMBER_MS = 43_200_000;
const MAX_PAUSE_MS = 300_000;

/** The options with their defaults, sorted by who needs them. */
export function settings(o: ClientOptions): Settings {
  const socket = (o.WebSocket ?? (globalThis as { WebSocket?: unknown }).WebSocket) as SocketConstructor | undefined;
  const transports = (o.transports ?? ["websocket", "polling"]).filter((t) => t !== "websocket" || socket);
  if (transports.length === 0) throw new HeddleError("connect_failed", "there is no global WebSocket: give one as an option");
  const pollUrl = o.pollUrl ?? pollingAt(o.url);
  return {
    // Called as a method of something else, the browser's fetch refuses.
    dial: { socket, url: o.url, codec: o.codec ?? json, pollUrl, fetch: o.fetch ?? ((...args) => fetch(...args)) },
    choice: {
      transports, origin: new URL(pollUrl).origin, storage: o.storage === undefined ? storage() : (o.storage ?? undefined),
      soundMs: o.soundAfter ?? 30_000, rememberMs: REMEMBER_MS, pauseMs: o.upgradePause ?? 10_000, maxPauseMs: MAX_PAUSE_MS,
    },
    link: {
      socketMs: o.websocketTimeout ?? 5000,
      backoffBaseMs: o.backoffBase ?? 500,
      backoffCapMs: o.backoffCap ?? 10_000,
      handshakeMs: o.handshakeTimeout ?? 10_000,
      stableMs: 5000,
    },
    outbox: {
      timeoutMs: o.timeout ?? 10_000,
      retries: o.retries ?? 5,
      limit: o.queue ?? 1000,
      expiryMs: o.queueExpiry,
      window: WINDOW,
      idempotencyMs: IDEMPOTENCY_MS,
    },
    streams: { hold: o.hold ?? 512, gapMs: o.gapTimeout ?? 1000, catchUp: o.catchUp ?? 1000 },
    probeMs: o.probeTimeout ?? 5000,
    ackDelayMs: o.ackDelay ?? 1000,
  };
}

// The same server, `poll/` in the place of the last part of the path.
function pollingAt(url: string): string {
  const at = new URL(url, globalThis.location?.href);
  at.protocol = at.protocol.replace("ws", "http");
  at.pathname = at.pathname.replace(/[^/]*$/, "poll/");
  return at.href;
}

function storage(): Storage | undefined {
  try {
    return globalThis.localStorage;
  } catch {
    return undefined; // a page may be forbidden to look
  }
}
