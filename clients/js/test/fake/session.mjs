// One connection of the fake server, and the actions of docs/PROTOCOL.md.
import { changed, replayed } from "./fold.mjs";
import { Fault, id } from "./store.mjs";

const positions = (conn) => [...conn.rooms].map((room) => conn.server.store.state(room, conn.user));

export class Session {
  rooms = new Set();
  watched = new Set(); // users
  opened = false;

  constructor(server, socket, user) {
    Object.assign(this, { server, socket, user });
  }

  send(...envelopes) {
    if (envelopes.length === 0) return;
    const frame = envelopes.length === 1 ? envelopes[0] : envelopes;
    this.socket.send(this.socket.protocol === "heddle.v1.json" ? JSON.stringify(frame) : this.server.packed.encode(frame));
  }

  frame(parsed) {
    const batch = Array.isArray(parsed) ? parsed : [parsed];
    this.server.frames.push(batch);
    for (const envelope of batch) this.envelope(envelope);
  }

  envelope(e) {
    if (e.type === "ack") {
      this.server.acked?.(e);
      return;
    }
    const { action, data = {} } = e.payload;
    const answer = (type, body) =>
      e.id && this.send({ v: 1, type, ref: e.id, timestamp: Date.now(), room: e.room, ...body });
    try {
      if (!this.opened && !action.startsWith("session:")) throw new Fault("session_required");
      const fault = this.server.intercept?.(e, this);
      if (fault === "ignore") return;
      if (fault) throw fault;
      const handler = handlers[action];
      if (!handler) throw new Fault("unknown_action", undefined, { field: "action" });
      const { event, reply = {}, then } = handler(this, e, data) ?? {};
      if (this.server.muteAcks?.(e)) return;
      answer("ack", { ...(event && { id: event.id, epoch: event.epoch, offset: event.offset }), payload: { action, data: reply } });
      then?.();
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      answer("error", { payload: { action, data: error.data } });
    }
  }

  replay(room, offset) {
    const kept = this.server.store.open(room);
    for (let i = offset; i < kept.events.length; i += 64) this.send(...kept.events.slice(i, i + 64).map((e) => replayed(kept, e)));
  }
}

function opening(conn, data, record) {
  conn.opened = true;
  conn.device = data.device ?? "web";
  conn.id = record?.id ?? id();
  conn.token = record?.token ?? id();
  conn.server.noticed(conn.user);
  conn.server.records.set(conn.id, { id: conn.id, token: conn.token, user: conn.user, rooms: conn.rooms });
  return {
    session: conn.id, resume_token: conn.token, resume_ttl_ms: 120_000, user: conn.user, device: conn.device,
    heartbeat_ms: conn.server.heartbeatMs, max_frame_bytes: 65_536, rooms: positions(conn), refused: [],
    node: conn.server.node,
  };
}

function enter(conn, rooms = [], namespaces = ["/"]) {
  if (namespaces.includes("/notification")) conn.rooms.add(`user:${conn.user}/notification`);
  if (!namespaces.includes("/")) return;
  conn.rooms.add(`user:${conn.user}`);
  for (const room of rooms) conn.rooms.add(room);
  for (const [name, room] of conn.server.store.rooms) if (room.members.has(conn.user)) conn.rooms.add(name);
}

function within(conn, e) {
  if (!e.room) throw new Fault("invalid", "a room is needed", { field: "room" });
  if (!conn.rooms.has(e.room)) throw new Fault("forbidden", "not in this room", { field: "room" });
}

const handlers = {
  "session:open"(conn, e, data) {
    enter(conn, data.rooms, data.namespaces);
    return { reply: opening(conn, data) };
  },
  "session:resume"(conn, e, data) {
    const record = conn.server.records.get(data.session);
    if (!record || record.token !== data.resume_token || record.user !== conn.user) {
      enter(conn, [], data.namespaces);
      return { reply: { ...opening(conn, data), recovered: false, reason: record ? "session_mismatch" : "session_unknown" } };
    }
    enter(conn, record.rooms);
    const reply = { ...opening(conn, data, record), recovered: true };
    const then = () => {
      for (const room of conn.rooms) {
        const at = data.positions[room];
        if (at) conn.replay(room, at.epoch === conn.server.store.open(room).epoch ? at.offset : 0);
      }
    };
    return { reply, then };
  },
  "session:ping": () => ({}),
  "session:close": (conn) => void conn.server.records.delete(conn.id),
  "message:send"(conn, e, data) {
    within(conn, e);
    if (data.text === undefined && data.body === undefined) throw new Fault("invalid", "text or body", { field: "data.text" });
    const { text, body, mentions, meta } = data;
    if (data.ephemeral) {
      conn.server.publish({ v: 1, type: "event", id: id(), room: e.room, from: from(conn), timestamp: Date.now(),
        payload: { action: "message:send", data: { text, body, mentions, meta } } });
      return {};
    }
    const out = stored(conn, e, { text, body, mentions, meta });
    if (!out.reply.repeat) for (const user of mentions ?? []) notify(conn, user, out.event);
    return out;
  },
  "message:edit": change,
  "message:react": change,
  "message:delete"(conn, e, data) {
    if (data.for !== "me") return change(conn, e, data);
    within(conn, e);
    changed(conn.server.store.open(e.room), conn.user, e.payload.action, data);
    own(conn, conn.user, e.payload.action, { room: e.room, epoch: conn.server.store.open(e.room).epoch, offset: data.offset, for: "me" });
    return {};
  },
  "message:read"(conn, e, data) {
    within(conn, e);
    const { store } = conn.server;
    const epoch = store.open(e.room).epoch;
    store.open(e.room).reads.set(conn.user, Math.max(data.offset, store.state(e.room, conn.user).read_offset));
    const { unread, read_offset: offset } = store.state(e.room, conn.user);
    own(conn, conn.user, "message:read", { room: e.room, epoch, offset, unread });
    told(conn, e.room, "message:read", { epoch, offset, unread }, { epoch, offset });
    return { reply: { unread, offset } };
  },
  "direct:send"(conn, e, { to, device, ...data }) {
    if (device === undefined) {
      if (to !== conn.user) own(conn, to, "direct:send", data);
      return { event: own(conn, conn.user, "direct:send", { to, ...data }) };
    }
    const there = [...conn.server.sessions].filter((s) => s.user === to && s.device === device);
    if (there.length === 0) throw new Fault("not_found", "no session of this device is open", { field: "data.device" });
    for (const s of there) s.send({ type: "event", room: `user:${to}`, from: from(conn), payload: { action: "direct:send", data } });
    return { reply: { delivered: there.length } };
  },
  "typing:start"(conn, e) {
    within(conn, e);
    typing(conn, e.room, (users) => users.add(conn.user));
  },
  "typing:stop"(conn, e) {
    within(conn, e);
    typing(conn, e.room, (users) => users.delete(conn.user));
  },
  "presence:update"(conn, e, data) {
    conn.server.chosen.set(conn.user, data);
    const { expires_in_ms: ends, ...chosen } = data;
    if (ends) chosen.expires_at = Date.now() + ends;
    const { event } = conn.server.store.append(`user:${conn.user}`, from(conn), e.payload.action, chosen, e.id);
    conn.server.publish(event);
    conn.server.noticed(conn.user);
    return { event };
  },
  "presence:subscribe"(conn, e, { users }) {
    const asked = users ?? [...conn.server.store.room(e.room).members.keys()].sort();
    for (const user of asked) conn.watched.add(user);
    const list = asked.map((user) => conn.server.presence(user)).filter((p) => users || p.status !== "offline");
    const counts = Object.fromEntries(["online", "away", "dnd"].map((status) => [status, list.filter((p) => p.status === status).length]));
    return { reply: { users: list, ...(!users && counts) } };
  },
  "presence:unsubscribe"(conn, e, { users }) {
    for (const user of users ?? conn.server.store.room(e.room).members.keys()) conn.watched.delete(user);
  },
  "session:devices": (conn) => ({
    reply: { devices: [...conn.server.sessions].filter((s) => s.user === conn.user).map(({ device }) => ({ device, connected: true })) },
  }),
  "auth:refresh"(conn, e, { token }) {
    if (conn.server.authorize(token) !== conn.user) throw new Fault("unauthenticated", "not your token", { field: "data.token" });
    return { reply: { expires_at: Date.now() + 3_600_000 } };
  },
  "room:create"(conn, e, data) {
    const type = /^([a-z]+):[^:/]+$/.exec(e.room ?? "")?.[1];
    if (!type) throw new Fault("invalid", "must be type:id", { field: "room" });
    if (type !== "conv") throw new Fault("not_found", `there is no room type "${type}"`, { field: "room" });
    if (conn.server.store.rooms.has(e.room) && !conn.server.store.keys.has(`${conn.user}/${e.room}/${e.id}`)) throw new Fault("conflict");
    for (const c of conn.server.sessions) if (c.user === conn.user || data.members?.includes(c.user)) c.rooms.add(e.room);
    const out = stored(conn, e, data);
    return { ...out, reply: { room: e.room } };
  },
  "room:join"(conn, e, data) {
    if (!e.room) throw new Fault("invalid", "a room is needed", { field: "room" });
    const channel = e.room.startsWith("channel:");
    const room = channel ? conn.server.store.open(e.room) : conn.server.store.room(e.room);
    const since = data.since;
    conn.rooms.add(e.room);
    const event = !channel && !room.members.has(conn.user) ? stored(conn, e, { user: conn.user }).event : undefined;
    const reply = conn.server.store.state(e.room, conn.user);
    return { event, reply, then: () => since && conn.replay(e.room, since.epoch === room.epoch ? since.offset : 0) };
  },
  "room:leave"(conn, e) {
    within(conn, e);
    const { event } = stored(conn, e, { user: conn.user });
    conn.rooms.delete(e.room);
    return { event };
  },
  "room:update"(conn, e, data) {
    within(conn, e);
    if (conn.server.store.room(e.room).members.get(conn.user)?.role === "member") throw new Fault("forbidden", "moderators only", { field: "room" });
    for (const c of conn.server.sessions) if (data.add?.includes(c.user)) c.rooms.add(e.room);
    const { event } = stored(conn, e, data);
    const since = { epoch: event.epoch, offset: event.offset - 1 };
    for (const user of data.add ?? []) own(conn, user, "room:added", { room: e.room, since });
    for (const user of data.remove ?? []) own(conn, user, "room:removed", { room: e.room });
    for (const c of conn.server.sessions) if (data.remove?.includes(c.user)) c.rooms.delete(e.room);
    return { event, reply: { room: e.room } };
  },
  "room:delete"(conn, e) {
    within(conn, e);
    if (conn.server.store.room(e.room).members.get(conn.user)?.role !== "owner") throw new Fault("forbidden", "owners only", { field: "room" });
    const { event } = stored(conn, e, {});
    conn.server.store.rooms.delete(e.room);
    for (const c of conn.server.sessions) c.rooms.delete(e.room);
    return { event, reply: { room: e.room } };
  },
  "room:members"(conn, e, { after = "", limit = 200 }) {
    within(conn, e);
    const all = [...conn.server.store.room(e.room).members.values()].filter((m) => m.user > after).sort((a, b) => (a.user < b.user ? -1 : 1));
    return { reply: { members: all.slice(0, limit), ...(all.length > limit && { next: all[limit - 1].user }) } };
  },
  "room:history"(conn, e, data) {
    within(conn, e);
    return { reply: conn.server.store.history(e.room, data, conn.user) };
  },
};

const from = (conn) => ({ user: conn.user, device: conn.device });

/** A durable event in a user's own room. */
function own(conn, user, action, data) {
  const { event } = conn.server.store.append(`user:${user}`, from(conn), action, data);
  conn.server.publish(event);
  return event;
}

/** Tells a user who is mentioned, on the devices that do not have the room. */
function notify(conn, user, { room, epoch, offset, id, payload }) {
  if (user === conn.user) return;
  const devices = [...conn.server.sessions].filter((s) => s.user === user && !s.rooms.has(room)).map((s) => s.device);
  told(conn, `user:${user}/notification`, "notification:new", { room, epoch, offset, id, from: conn.user, reason: "mention", text: payload.data.text, devices });
}

/** An ephemeral event in a room. */
function told(conn, room, action, data, more = {}) {
  conn.server.publish({ v: 1, type: "event", id: id(), room, from: from(conn), timestamp: Date.now(), ...more, payload: { action, data } });
}

function typing(conn, room, alter) {
  const typers = conn.server.typing;
  if (!typers.has(room)) typers.set(room, new Set());
  alter(typers.get(room));
  const until = { from: undefined, expires_at: Date.now() + conn.server.typingMs };
  told(conn, room, "typing:update", { users: [...typers.get(room)], others: 0 }, until);
}

function change(conn, e, data) {
  within(conn, e);
  const { store } = conn.server;
  if (store.keys.has(`${conn.user}/${e.room}/${e.id}`)) return stored(conn, e, {});
  const { action } = e.payload;
  const now = changed(store.open(e.room), conn.user, action, data);
  if (!now) return { reply: { repeat: true } };
  const { event } = stored(conn, e, now);
  return { event, reply: action === "message:edit" ? { version: now.version } : {} };
}

function stored(conn, e, data) {
  const { event, repeat } = conn.server.store.append(e.room, from(conn), e.payload.action, data, e.id);
  if (!repeat) conn.server.publish(event);
  return { event, reply: repeat ? { repeat: true } : {} };
}
