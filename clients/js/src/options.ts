import type { SocketConstructor } from "./connection.ts";
import type { Namespace } from "./actions.ts";
import { HeddleError } from "./errors.ts";
import type { LinkConfig } from "./link.ts";
import type { OutboxConfig } from "./outbox.ts";
import type { StreamsConfig } from "./streams.ts";
import type { TokenSource } from "./token.ts";

export interface ClientOptions {
  /** The server's endpoint, such as `wss://chat.example.com/v1/ws`. */
  url: string;
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
  /** The WebSocket class; by default the global one. */
  WebSocket?: unknown;
  /** Milliseconds to wait for an answer: 10,000. */
  timeout?: number;
  /** Repeats after a timeout or a retryable error: 5. */
  retries?: number;
  /** Requests that may wait, offline or unanswered: 1,000. */
  queue?: number;
  /** The first range of the reconnect delay, in milliseconds: 500. */
  backoffBase?: number;
  /** The largest reconnect delay, in milliseconds: 10,000. */
  backoffCap?: number;
  /** Milliseconds for token, connection and session together: 10,000. */
  handshakeTimeout?: number;
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
  socket: SocketConstructor;
  link: LinkConfig;
  outbox: OutboxConfig;
  streams: StreamsConfig;
  probeMs: number;
  ackDelayMs: number;
}

// The server knows ids for five minutes; a margin for the clock and the way.
const IDEMPOTENCY_MS = 285_000;
// Half of what the server lets be in flight before it stops reading.
const WINDOW = 128;

/** The options with their defaults, sorted by who needs them. */
export function settings(o: ClientOptions): Settings {
  const socket = o.WebSocket ?? (globalThis as { WebSocket?: unknown }).WebSocket;
  if (typeof socket !== "function") throw new HeddleError("connect_failed", "there is no global WebSocket: give one as an option");
  return {
    socket: socket as SocketConstructor,
    link: {
      url: o.url,
      backoffBaseMs: o.backoffBase ?? 500,
      backoffCapMs: o.backoffCap ?? 10_000,
      handshakeMs: o.handshakeTimeout ?? 10_000,
      stableMs: 5000,
    },
    outbox: {
      timeoutMs: o.timeout ?? 10_000,
      retries: o.retries ?? 5,
      limit: o.queue ?? 1000,
      window: WINDOW,
      idempotencyMs: IDEMPOTENCY_MS,
    },
    streams: { hold: o.hold ?? 512, gapMs: o.gapTimeout ?? 1000, catchUp: o.catchUp ?? 1000 },
    probeMs: o.probeTimeout ?? 5000,
    ackDelayMs: o.ackDelay ?? 1000,
  };
}
