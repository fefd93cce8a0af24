// What each action of docs/PROTOCOL.md takes and answers, and the data of the
// events that come of it.
import type { Envelope, ErrorData, Message, Position } from "./protocol.ts";

export type Json = Record<string, unknown>;
export type Nothing = Record<string, never>;

/** What many acks say: the same id was stored before, or nothing has changed. */
export interface Repeat {
  repeat?: boolean;
}

/** What a message says. */
export interface MessageContent {
  text?: string;
  body?: unknown;
  mentions?: string[];
  meta?: Json;
}

/** One reaction to a message, by all who gave it. */
export interface Reaction {
  count: number;
  /** The first ten by name, or as many as are known. */
  users: string[];
  /** Whether the user of this client is among them. */
  me: boolean;
}

/** What a message says, as it is received. */
export interface ReceivedContent extends MessageContent {
  /** What the server's plugins say of it, by name; of an edited message, of its newest content. */
  attributes?: Json;
}

/** The data of a message as the members of the room receive it, or read it from history. */
export interface MessageData extends ReceivedContent {
  /** In history: the newest edit; `at` in Unix milliseconds. */
  edited?: { version: number; at: number };
  /** In history, by key. */
  reactions?: Record<string, Reaction>;
}

export interface MessageSend extends MessageContent {
  /** Milliseconds after which nobody gets the message any more. */
  ttl_ms?: number;
  /** Delivered to who is there now, never stored. */
  ephemeral?: boolean;
}

/** A message that an action is about. The epoch guards against a room that began anew. */
export interface Target {
  offset: number;
  epoch?: string;
}

export interface MessageEdit extends Target, MessageContent {
  /** The version that is changed: 0 as it was sent. In events: the new one. */
  version: number;
}

export interface MessageDelete extends Target {
  /** For all if left out; for the user alone it is told in the user's own room. */
  for?: "all" | "me";
}

export interface MessageReact extends Target {
  /** The reaction, an emoji for instance: 1 to 64 bytes. */
  key: string;
  remove?: boolean;
}

/** The data of `event:redacted`, in the place of what is gone. */
export interface Redacted {
  by?: string;
  /** Unix milliseconds. */
  at?: number;
  for?: "me";
}

/** The data of the event `message:read`. */
export interface ReadMarker {
  /** In the user's own room: the room that was read. */
  room?: string;
  epoch?: string;
  offset: number;
  /** Messages behind it, when it was moved. */
  unread: number;
}

export interface DirectSend {
  to: string;
  /** Only this device, and only if it is there now; not stored. */
  device?: string;
  text?: string;
  body?: unknown;
  meta?: Json;
  ttl_ms?: number;
}

/** The data of the event `notification:new`, to sessions that have opened `/notification`. */
export interface NotificationNew extends Position {
  room: string;
  /** Of the message. */
  id: string;
  /** Left out if the server itself speaks. */
  from?: string;
  reason: "message" | "direct" | "mention";
  /** What the message begins with. */
  text?: string;
  /** Those of the user's on which it is news. */
  devices: string[];
  unread?: number;
}

/** The data of the event `typing:update`. */
export interface TypingUpdate {
  /** The first ten who type, and how many more. */
  users: string[];
  others: number;
}

export interface RoomState {
  room: string;
  epoch: string;
  /** The room's newest position. */
  offset: number;
  unread: number;
  read_offset: number;
  /** A lasting member: the room is there again in every new session. */
  member?: boolean;
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

/** What a session takes part in; `/` is rooms, presence and all else. */
export type Namespace = "/" | "/notification";

export interface SessionOpen {
  token?: string;
  namespaces?: Namespace[];
  device?: string;
  acks?: boolean;
  attributes?: Record<string, string>;
  rooms?: string[];
}

export interface SessionResume {
  token?: string;
  /** Of the new session, if the old one cannot go on. */
  namespaces?: Namespace[];
  session: string;
  resume_token: string;
  acks?: boolean;
  positions: Record<string, Position>;
}

/** One of the user's devices; times in Unix milliseconds. */
export interface Device {
  /** Its name; sessions without one are listed each by itself. */
  device: string;
  sessions: string[];
  connected: boolean;
  /** It sent the last event of all that are connected. */
  active: boolean;
  since: number;
  last_seen: number;
  transport: string;
  agent?: string;
}

export interface RoomCreate {
  members?: string[];
  name?: string;
  meta?: Json;
}

export type Role = "owner" | "moderator" | "member";

export interface RoomUpdate {
  name?: string;
  /** In place of the one before; null for none. */
  meta?: Json | null;
  add?: string[];
  remove?: string[];
  roles?: Record<string, Role>;
}

export interface RoomJoined extends RoomState {
  /** With `since`: whether all that followed it is replayed. */
  recovered?: boolean;
  /** Why not. */
  reason?: string;
  repeat?: boolean;
}

/** The data of `room:added`, `room:removed` and `room:changed`, in the user's own room. */
export interface RoomNotice {
  room: string;
  /** Of `room:added`: the user's view begins behind it. */
  since?: Position;
  /** Of `room:changed`. */
  role?: Role;
}

export interface Member {
  user: string;
  role: Role;
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

export interface PresenceSet {
  /** `auto`: online, or away when all devices are idle; `invisible`: others see offline. */
  status: "online" | "away" | "dnd" | "invisible" | "auto";
  text?: string;
  emoji?: string;
  data?: Json;
  expires_in_ms?: number;
}

/** The data of the message `presence:update` in the user's own room: what was chosen. */
export interface PresenceChosen extends Omit<PresenceSet, "expires_in_ms"> {
  /** Unix milliseconds. */
  expires_at?: number;
}

/** Whom to watch: users, at most 100, or who is in the room that the action is sent to. */
export interface Watch {
  users?: string[];
}

/** What a subscription answers: of a room also a page of who is there, and how many. */
export interface Watched extends Partial<PresenceCounts> {
  users?: PresenceStatus[];
  /** Those asked for who may not be watched. */
  refused?: PresenceRefusal[];
  next?: string;
}

/** A user who may not be watched, and why. */
export interface PresenceRefusal {
  user: string;
  error: ErrorData;
}

/** How a user is there. */
export interface PresenceStatus {
  user: string;
  status: "online" | "away" | "dnd" | "offline";
  text?: string;
  emoji?: string;
  data?: Json;
  /** Unix milliseconds. Of two of a user that say it the later one holds, else the one that came last. */
  since?: number;
  devices?: number;
}

/** The data of the event `presence:update`: of a user, or of a room. */
export type PresenceUpdate = PresenceStatus | PresenceList;

/**
 * What is told of a room: who has changed since the last list. Who is offline has left
 * it, too. The numbers stand in the last of several lists: who counts otherwise has
 * missed one.
 */
export interface PresenceList extends Partial<PresenceCounts> {
  users?: PresenceStatus[];
  /** What was told before holds no longer. */
  reset?: boolean;
}

/** The data of the event `presence:counts`, of rooms too large to tell of everybody. */
export interface PresenceCounts {
  online: number;
  away: number;
  dnd: number;
}

export interface Quality {
  grade: "good" | "fair" | "poor";
  rtt_ms: number;
  jitter_ms: number;
  missed: number;
}

/** Every action of a client: its data, and the data of its ack. */
export interface Actions {
  "session:open": { data: SessionOpen; ack: SessionInfo };
  "session:resume": { data: SessionResume; ack: SessionInfo };
  "session:ping": { data: Nothing; ack: Nothing };
  "session:close": { data: Nothing; ack: Nothing };
  "session:devices": { data: Nothing; ack: { devices: Device[] } };
  "auth:refresh": { data: { token: string }; ack: { expires_at: number; left?: string[] } };
  "message:send": { data: MessageSend; ack: Repeat };
  "message:edit": { data: MessageEdit; ack: Repeat & { version?: number } };
  "message:delete": { data: MessageDelete; ack: Repeat };
  "message:react": { data: MessageReact; ack: Repeat };
  "message:read": { data: Target; ack: Repeat & { unread: number; offset: number } };
  "direct:send": { data: DirectSend; ack: Repeat & { delivered?: number } };
  "typing:start": { data: Nothing; ack: Nothing };
  "typing:stop": { data: Nothing; ack: Nothing };
  "presence:update": { data: PresenceSet; ack: Repeat };
  "presence:subscribe": { data: Watch & { after?: string; limit?: number }; ack: Watched };
  "presence:unsubscribe": { data: Watch; ack: Nothing };
  "room:create": { data: RoomCreate; ack: Repeat & { room: string } };
  "room:join": { data: { since?: Position }; ack: RoomJoined };
  "room:leave": { data: Nothing; ack: { room: string } };
  "room:update": { data: RoomUpdate; ack: Repeat & { room: string } };
  "room:delete": { data: Nothing; ack: Repeat & { room?: string } };
  "room:members": { data: { after?: string; limit?: number }; ack: MembersPage };
  "room:history": { data: HistoryQuery; ack: HistoryPage };
}

export type Action = keyof Actions;
export type DataOf<A extends string> = A extends Action ? Actions[A]["data"] : Json;
export type AckOf<A extends string> = A extends Action ? Actions[A]["ack"] : unknown;

/** The data of what comes, by the action that it comes of. */
export interface Deliveries {
  "message:send": MessageData;
  "message:edit": MessageEdit & ReceivedContent;
  "message:delete": MessageDelete & { room?: string };
  "message:react": MessageReact;
  "message:read": ReadMarker;
  "direct:send": Omit<DirectSend, "to" | "device" | "ttl_ms"> & { to?: string };
  "event:redacted": Redacted;
  "event:expired": Nothing;
  "typing:update": TypingUpdate;
  "presence:update": PresenceUpdate | PresenceChosen;
  "presence:counts": PresenceCounts;
  "notification:new": NotificationNew;
  "room:create": RoomCreate;
  "room:join": { user: string };
  "room:leave": { user: string };
  "room:update": RoomUpdate;
  "room:delete": Nothing;
  "room:expire": Nothing;
  "room:added": RoomNotice;
  "room:removed": RoomNotice;
  "room:changed": RoomNotice;
  "auth:expiring": { expires_in_ms: number };
  "session:quality": Quality;
  "session:drain": { reconnect_in_ms: number };
}

/** An envelope of an action; a durable one has `type` "message", a room and a position. */
export interface Delivery<A extends string, D> extends Envelope<D> {
  payload: { action: A; data: D };
}
