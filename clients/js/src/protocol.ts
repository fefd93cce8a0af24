// The words of docs/PROTOCOL.md as types: the envelope and what it holds always.
// What each action takes and answers is in actions.ts.

export type * from "./actions.ts";

export const PROTOCOL_VERSION = 1;
export const SUBPROTOCOL = "heddle.v1.json";
export const TOKEN_PREFIX = "heddle.token.";

/** The most envelopes that one frame may hold. */
export const MAX_BATCH = 64;

/** What the server accepts before its first ack tells the real limit, in bytes. */
export const DEFAULT_MAX_FRAME_BYTES = 65_536;

export type EnvelopeType = "message" | "event" | "ack" | "error";

export interface Sender {
  user: string;
  device?: string;
}

/** A place in a room's stream: offsets count from 1 without a gap while the epoch lasts. */
export interface Position {
  epoch: string;
  offset: number;
}

export interface Envelope<D = unknown> {
  v?: number;
  type: EnvelopeType;
  id?: string;
  tenant_id?: string;
  /** Unix milliseconds. */
  timestamp?: number;
  room?: string;
  from?: Sender;
  epoch?: string;
  offset?: number;
  ref?: string;
  /** Unix milliseconds after which the event must not be shown. */
  expires_at?: number;
  payload?: { action: string; data?: D };
}

/** A durable event: it has a room and a position. */
export interface Message<D = unknown> extends Envelope<D> {
  type: "message";
  id: string;
  timestamp: number;
  room: string;
  epoch: string;
  offset: number;
  payload: { action: string; data: D };
  /**
   * Set by the client on what it reads from history: edits, deletions and reactions
   * up to this offset are in the data, and perhaps later ones.
   */
  as_of?: number;
}

/** The answer to a request. A durable action's ack means that the event is on disk, at this position. */
export interface Ack<D = unknown> {
  /** The server's id of the event. */
  id?: string;
  timestamp?: number;
  room?: string;
  epoch?: string;
  offset?: number;
  data: D;
}

/** The data of an error envelope. */
export interface ErrorData {
  code: string;
  message?: string;
  field?: string;
  retryable?: boolean;
  retry_after_ms?: number;
}

/** Whether an envelope is a durable event with a position. */
export function isMessage(e: Envelope): e is Message {
  return e.type === "message" && typeof e.room === "string" && typeof e.epoch === "string" &&
    typeof e.offset === "number" && e.payload !== undefined;
}
