// Rooms and their streams, in memory and, with a file, on disk: one JSON line per durable event.
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { randomBytes } from "node:crypto";
import { folded } from "./fold.mjs";

export const id = () => randomBytes(13).toString("hex").toUpperCase();

export class Fault extends Error {
  constructor(code, message = code, extra = {}) {
    super(message);
    this.data = { code, message, retryable: false, ...extra };
  }
}

export class Store {
  rooms = new Map(); // room -> { epoch, events, members: Map(user -> member), reads: Map(user -> offset), hidden: Set(user/offset) }
  keys = new Map(); // user/room/id -> event

  constructor(file) {
    this.file = file;
    if (!file || !existsSync(file)) return;
    for (const line of readFileSync(file, "utf8").split("\n")) {
      if (!line) continue;
      const { key, event } = JSON.parse(line);
      this.#apply(event, key);
    }
  }

  room(name) {
    const room = this.rooms.get(name);
    if (!room) throw new Fault("not_found", "no such room", { field: "room" });
    return room;
  }

  // A channel or a user's own room is there as soon as somebody looks.
  open(name) {
    if (!this.rooms.has(name)) this.rooms.set(name, { epoch: id(), events: [], members: new Map(), reads: new Map(), hidden: new Set() });
    return this.rooms.get(name);
  }

  append(name, from, action, data, clientId) {
    const key = clientId && `${from.user}/${name}/${clientId}`;
    const known = key && this.keys.get(key);
    if (known) return { event: known, repeat: true };
    const room = this.open(name);
    const event = {
      v: 1, type: "message", id: id(), tenant_id: "dev", timestamp: Date.now(), room: name, from,
      epoch: room.epoch, offset: room.events.length + 1, payload: { action, data },
    };
    if (this.file) appendFileSync(this.file, JSON.stringify({ key, event }) + "\n");
    this.#apply(event, key);
    return { event, repeat: false };
  }

  #apply(event, key) {
    const room = this.open(event.room);
    room.epoch = event.epoch;
    room.events.push(event);
    if (key) this.keys.set(key, event);
    const { action, data } = event.payload;
    const member = (user, role) => room.members.set(user, { user, role, joined_at: event.timestamp });
    if (action === "room:create") {
      member(event.from.user, "owner");
      for (const user of data.members ?? []) if (user !== event.from.user) member(user, "member");
    }
    if (action === "room:join") member(data.user, "member");
    if (action === "room:leave") room.members.delete(data.user);
    if (action === "room:update") {
      for (const user of data.add ?? []) member(user, "member");
      for (const user of data.remove ?? []) room.members.delete(user);
    }
    if (action === "message:delete" && data.for === "me") this.open(data.room).hidden.add(`${event.from.user}/${data.offset}`);
    if (action === "message:read") this.open(data.room).reads.set(event.from.user, data.offset);
    if (action === "message:send" && event.from) room.reads.set(event.from.user, event.offset);
  }

  state(name, user) {
    const room = this.open(name);
    const read = room.reads.get(user) ?? 0;
    const unread = room.events.filter((e) => e.offset > read && e.payload.action === "message:send").length;
    return { room: name, epoch: room.epoch, offset: room.events.length, unread, read_offset: read, member: room.members.has(user) };
  }

  history(name, { before, after, limit = 50 }, user) {
    const room = this.room(name);
    const { events, epoch } = room;
    const all = events.filter((e) => (before ? e.offset < before : true) && e.offset > (after ?? 0));
    const page = after !== undefined ? all.slice(0, limit) : all.slice(-limit);
    return { events: page.map((e) => folded(room, e, user)), epoch, more: page.length < all.length };
  }
}
