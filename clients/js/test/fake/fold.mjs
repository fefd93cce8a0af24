// Messages as they are now: what later events of a room have made of them.
import { Fault } from "./store.mjs";

const NAMED = 10;

/** What a room says of one of its messages. */
function changes(room, offset) {
  const of = (action) => room.events.filter((e) => e.payload.action === action && e.payload.data.offset === offset);
  const reactions = new Map(); // key -> Set of users
  for (const { payload, from } of of("message:react")) {
    const { key, remove } = payload.data;
    if (!reactions.has(key)) reactions.set(key, new Set());
    reactions.get(key)[remove ? "delete" : "add"](from.user);
  }
  return { edit: of("message:edit").at(-1), gone: of("message:delete")[0], reactions };
}

const redacted = ({ from, ...e }, data) => ({ ...e, payload: { action: "event:redacted", data } });

/** One event as a user reads it in history. */
export function folded(room, event, user) {
  const { action, data } = event.payload;
  if (action === "message:edit") {
    const { edit, gone } = changes(room, data.offset);
    return gone || edit !== event ? redacted(event, {}) : event;
  }
  if (action !== "message:send") return event;
  const { edit, gone, reactions } = changes(room, event.offset);
  if (gone) return redacted(event, { by: gone.from.user, at: gone.timestamp });
  if (room.hidden.has(`${user}/${event.offset}`)) return redacted(event, { for: "me" });
  const now = { ...data };
  if (edit) {
    const { offset, version, ...content } = edit.payload.data;
    Object.assign(now, content, { edited: { version, at: edit.timestamp } });
  }
  const kept = [...reactions].filter(([, users]) => users.size > 0);
  if (kept.length > 0) {
    now.reactions = Object.fromEntries(kept.map(([key, users]) =>
      [key, { count: users.size, users: [...users].sort().slice(0, NAMED), me: users.has(user) }]));
  }
  return { ...event, payload: { action, data: now } };
}

/** One event as a resume replays it: without content that is gone. */
export function replayed(room, event) {
  const { action, data } = event.payload;
  if (action === "message:send" && changes(room, event.offset).gone) return redacted(event, {});
  return action === "message:edit" ? folded(room, event) : event;
}

/** The data that changing a message stores, undefined if it is so already. */
export function changed(room, user, action, data) {
  const target = room.events[data.offset - 1];
  if (!target || target.payload.action !== "message:send") throw new Fault("invalid", "no message", { field: "data.offset" });
  const { edit, gone, reactions } = changes(room, data.offset);
  if (gone) throw new Fault("conflict", "that message was deleted", { field: "data.offset" });
  const { epoch, ...stored } = data;
  if (action === "message:react") {
    return Boolean(reactions.get(data.key)?.has(user)) === !data.remove ? undefined : stored;
  }
  if (target.from.user !== user && data.for !== "me") throw new Fault("forbidden", "its author only", { field: "data.offset" });
  if (action === "message:delete") return { offset: data.offset };
  const version = edit?.payload.data.version ?? 0;
  if (data.version !== version) throw new Fault("conflict", `the message is at version ${version}`, { field: "data.version" });
  const { offset, version: _version, ...before } = edit?.payload.data ?? target.payload.data;
  return { ...before, ...stored, version: version + 1 };
}
