// The numbers of the contract, version 1: hostapi/doc.go of Heddle has them byte by byte.

/** Version of the contract. */
export const VERSION: i32 = 1;

/** Hook is when a plugin is called. */
export const enum Hook {
  /** An event, in front of its handler. */
  Before = 1,
  /** An event that was handled; nothing is to be done about it any more. */
  After = 2,
  /** An event whose action is the plugin's own. */
  Handle = 3,
  /** A session is about to be open. */
  Connect = 4,
  /** A session is over. */
  Disconnect = 5,
  /** A session is about to join a room. */
  Join = 6,
  /** A session has left a room. */
  Leave = 7,
  /** A timer that the plugin has set. */
  Timer = 8,
  /** The answer to an HTTP request of the plugin. */
  Response = 9,
  /** An HTTP request to the plugin. */
  Request = 10,
}

/** How many values Hook has, 0 included. */
export const HOOKS: i32 = 11;

/** Codec is how a payload is written. */
export const enum Codec {
  /** There is none, or the manifest does not ask for it. */
  None = 0,
  /** A JSON value in UTF-8. */
  JSON = 1,
  /** Bytes as they came: bodies of HTTP. */
  Bytes = 2,
}

/** AttrType is the type of an attribute's value. */
export const enum AttrType {
  /** The event does not have it. */
  None = 0,
  Bool = 1,
  Int = 2,
  Float = 3,
  Text = 4,
  /** An object or array. */
  JSON = 5,
}

/** Status is how a call ended: OK, or why not. */
export const enum Status {
  OK = 0,
  NotFound = -1,
  /** The manifest does not ask for it, or the tenant may not. */
  Denied = -2,
  /** As much as there may be is there. */
  Quota = -3,
  /** An argument is wrong. */
  Invalid = -4,
  /** The value is another by now. */
  Conflict = -5,
  /** Later perhaps. */
  Unavailable = -6,
  /** The plugin's own word: it could not do it. */
  Failed = -7,
}

/** Text that a record names. */
export const enum Field {
  Tenant = 0,
  User = 1,
  Device = 2,
  Room = 3,
  Action = 4,
  ID = 5,
}

export const enum ActionKind {
  Pass = 1,
  Drop = 2,
  Replace = 3,
  SetAttr = 4,
  Emit = 5,
  Route = 6,
  Reply = 7,
  HTTP = 8,
  SetTimer = 9,
  CancelTimer = 10,
}

export const enum DropCode {
  Forbidden = 0,
  Invalid = 1,
  RateLimited = 2,
  Silently = 3,
}

export const FLAG_DURABLE: u32 = 1;
export const FLAG_PREFIX: u32 = 2;
export const FLAG_SERVER: u32 = 4;
export const EMIT_DURABLE: u32 = 1;

/** Capacity stands in front of an arena's bytes. */
export const ARENA_HEADER: i32 = 8;
export const MIN_ARENA: i32 = 4 << 10;
export const MAX_ARENA: i32 = 16 << 20;

/** Offsets in a record. */
export const AT_HOOK: usize = 6;
export const AT_CODEC: usize = 7;
export const AT_FLAGS: usize = 8;
export const AT_ATTEMPT: usize = 12;
export const AT_SEQUENCE: usize = 16;
export const AT_TIME: usize = 24;
export const AT_CONNECTION: usize = 32;
export const AT_WHOLE: usize = 40;
export const AT_ATTRIBUTES: usize = 44;
export const AT_TEXTS: usize = 48;
export const AT_ATTRS: usize = 96;
export const AT_PAYLOAD: usize = 104;

/** Offsets in an attribute. */
export const ATTR_TYPE: usize = 4;
export const ATTR_NAME: usize = 6;
export const ATTR_VALUE: usize = 8;
export const ATTR_HEADER: usize = 16;

/** Offsets in an action. */
export const ACTION_KIND: usize = 4;
export const ACTION_RECORD: usize = 6;
export const ACTION_FLAGS: usize = 8;
export const ACTION_CODE: usize = 12;
export const ACTION_NUMBER: usize = 16;
export const ACTION_REFS: usize = 24;
export const ACTION_SIZE: usize = 56;

/** The word of the contract for a status. */
export function statusName(status: Status): string {
  switch (status) {
    case Status.OK: return "ok";
    case Status.NotFound: return "not_found";
    case Status.Denied: return "denied";
    case Status.Quota: return "quota";
    case Status.Invalid: return "invalid";
    case Status.Conflict: return "conflict";
    case Status.Unavailable: return "unavailable";
    case Status.Failed: return "failed";
    default: return "unknown";
  }
}

/** The word of the contract for a hook. */
export function hookName(hook: Hook): string {
  switch (hook) {
    case Hook.Before: return "before";
    case Hook.After: return "after";
    case Hook.Handle: return "handle";
    case Hook.Connect: return "connect";
    case Hook.Disconnect: return "disconnect";
    case Hook.Join: return "join";
    case Hook.Leave: return "leave";
    case Hook.Timer: return "timer";
    case Hook.Response: return "response";
    case Hook.Request: return "request";
    default: return "";
  }
}

/** Whether what the plugin says changes what becomes of the event. */
export function decides(hook: Hook): bool {
  return hook == Hook.Before || hook == Hook.Handle || hook == Hook.Connect || hook == Hook.Join || hook == Hook.Request;
}
