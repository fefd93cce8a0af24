// The words of docs/PROTOCOL.md as types: the envelope, and what each action
// takes and answers.

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
}

/** The data of a message as the members of the room receive it. */
export interface MessageData {
  text?: string;
  body?: unknown;
  mentions?: string[];
  meta?: Record<string, unknown>;
}

export interface MessageSend extends MessageData {
  /** Milliseconds after which nobody gets the message any more. */
  ttl_ms?: number;
  /** Delivered to who is there now, never stored. */
  ephemeral?: boolean;
}

export interface MessageRead {
  offset: number;
  epoch?: string;
}

export interface RoomState {
  room: string;
  epoch: string;
  /** The room's newest position. */
  offset: number;
  unread: number;
  read_offset: number;
}

export interface SessionInfo {
  session: string;
  resume_token: string;
  resume_ttl_ms: number;
  user: string;
  device: string;
  heartbeat_ms: number;
  max_frame_bytes: number;
  rooms: RoomState[];
  refused?: { room: string; code: string }[];
  /** Answers to session:resume only. */
  recovered?: boolean;
  reason?: string;
  lost?: { room: string; reason: string }[];
  /** Servers that name themselves. */
  node?: string;
}

export interface SessionOpen {
  token?: string;
  device?: string;
  acks?: boolean;
  attributes?: Record<string, string>;
  rooms?: string[];
}

export interface SessionResume {
  token?: string;
  session: string;
  resume_token: string;
  acks?: boolean;
  positions: Record<string, Position>;
}

export interface RoomCreate {
  members?: string[];
  name?: string;
  meta?: Record<string, unknown>;
}

export interface RoomJoined extends RoomState {
  /** With `since`: whether all that followed it is replayed. */
  recovered?: boolean;
  /** Why not. */
  reason?: string;
  repeat?: boolean;
}

export interface Member {
  user: string;
  role: "owner" | "moderator" | "member";
  /** Unix milliseconds. */
  joined_at: number;
}

export interface MembersPage {
  members: Member[];
  /** Give it as `after` to read on; absent on the last page. */
  next?: string;
}

export interface HistoryQuery {
  /** Events before this offset, the newest of them; absent: the newest of all. */
  before?: number;
  /** Events behind this offset, the oldest of them. */
  after?: number;
  /** At most 200. */
  limit?: number;
}

export interface HistoryPage {
  /** Oldest first. */
  events: Message[];
  epoch: string;
  more: boolean;
}

export interface Quality {
  grade: "good" | "fair" | "poor";
  rtt_ms: number;
  jitter_ms: number;
  missed: number;
}

export type Nothing = Record<string, never>;

/** Every action of a client: its data, and the data of its ack. */
export interface Actions {
  "session:open": { data: SessionOpen; ack: SessionInfo };
  "session:resume": { data: SessionResume; ack: SessionInfo };
  "session:ping": { data: Nothing; ack: Nothing };
  "session:close": { data: Nothing; ack: Nothing };
  "message:send": { data: MessageSend; ack: { repeat?: boolean } };
  "message:read": { data: MessageRead; ack: { unread: number; offset: number; repeat?: boolean } };
  "room:create": { data: RoomCreate; ack: { room: string; repeat?: boolean } };
  "room:join": { data: { since?: Position }; ack: RoomJoined };
  "room:leave": { data: Nothing; ack: { room: string } };
  "room:members": { data: { after?: string; limit?: number }; ack: MembersPage };
  "room:history": { data: HistoryQuery; ack: HistoryPage };
}

export type Action = keyof Actions;
export type DataOf<A extends string> = A extends Action ? Actions[A]["data"] : Record<string, unknown>;
export type AckOf<A extends string> = A extends Action ? Actions[A]["ack"] : unknown;

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
