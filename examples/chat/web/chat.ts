import { Client } from "../../../clients/js/src/index.ts";
import type { Envelope, Message, MessageRead } from "../../../clients/js/src/index.ts";
import { ConnectionView } from "./connection.ts";
import { byId } from "./dom.ts";
import { Rooms } from "./model.ts";
import type { Room } from "./model.ts";
import { RoomList } from "./roomlist.ts";
import { RoomView } from "./roomview.ts";

/** What message:read tells: in the room, or with the room's name in the user's own. */
type Read = MessageRead & { room?: string; unread?: number };

/** Signs a user in and connects the client with the views. `opened` hears which room is shown. */
export function startChat(me: string, firstRoom: string | undefined, opened: (room: Room | undefined) => void): Client {
  const client = new Client({ url: endpoint(), getToken: () => fetchToken(me), acks: true });
  const rooms = new Rooms();
  new ConnectionView(client);
  const view = new RoomView(client, me, () => list.render());
  const list = new RoomList(client, rooms, open);

  function open(room: Room | undefined): void {
    list.current = room;
    list.render();
    view.show(room);
    byId("app").classList.toggle("open", room !== undefined);
    opened(room);
  }

  function synced(): void {
    list.render();
    view.render();
    const first = firstRoom === undefined ? undefined : rooms.find(firstRoom);
    if (first && !view.room) open(first);
  }

  client.on("ready", (info) => (rooms.sync(info.rooms), synced()));
  client.on("resumed", (info) => (rooms.sync(info.rooms), synced()));
  client.on("message", (message) => {
    take(rooms, message, me);
    const room = rooms.find(message.room);
    if (room && room === view.room && message.payload.action !== "message:send") void view.showMembers(room);
    if (view.room && rooms.find(view.room.id) !== view.room) open(undefined);
    list.render();
    view.render();
  });
  client.on("event", (event) => {
    if (event.payload?.action === "message:read") seen(rooms, event as Envelope<Read>, me);
    list.render();
    view.render();
  });
  client.on("lost", ({ room, to }) => {
    const known = rooms.find(room);
    if (!known) return;
    if (!to) {
      rooms.remove(room);
      if (view.room === known) open(undefined);
    } else if (known.loaded) void view.load(known);
    list.render();
  });
  byId("back").addEventListener("click", () => open(undefined));
  byId("leave").addEventListener("click", () => {
    const room = view.room;
    if (!room) return;
    client.room.leave(room.id).then(() => {
      rooms.remove(room.id);
      open(undefined);
    }, (error: Error) => (byId("members").textContent = error.message));
  });
  client.connect();
  return client;
}

function endpoint(): string {
  const url = new URL("/v1/ws", location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  url.hash = "";
  return url.href;
}

async function fetchToken(user: string): Promise<string> {
  const answer = await fetch("/dev/token", {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ user }),
  });
  if (!answer.ok) throw new Error(`no token: ${answer.status}`);
  return ((await answer.json()) as { token: string }).token;
}

function take(rooms: Rooms, message: Message, me: string): void {
  if (message.room.startsWith("user:")) {
    ownRoom(rooms, message, me);
    return;
  }
  const own = message.from?.user === me;
  if (own && message.payload.action === "room:leave") {
    rooms.remove(message.room);
    return;
  }
  const room = rooms.get(message.room);
  if (!room.add(message)) return;
  if (!own && message.payload.action === "message:send" && message.offset > room.syncedTo) room.unread++;
}

// What the user's own room tells: the deeds of other devices, and of those who invite.
function ownRoom(rooms: Rooms, message: Message, me: string): void {
  const { room } = message.payload.data as { room?: string };
  if (room === undefined) return;
  switch (message.payload.action) {
    case "room:added":
      rooms.get(room);
      break;
    case "room:removed":
      rooms.remove(room);
      break;
    case "message:read":
      seen(rooms, message as Message<Read>, me);
  }
}

function seen(rooms: Rooms, event: Envelope<Read>, me: string): void {
  const { room: about, offset, unread } = event.payload?.data ?? {};
  const user = event.from?.user;
  const room = rooms.find(about ?? event.room ?? "");
  if (!room || offset === undefined || user === undefined) return;
  if (user !== me) room.seen.set(user, Math.max(offset, room.seen.get(user) ?? 0));
  else {
    room.readOffset = Math.max(offset, room.readOffset);
    if (unread !== undefined) room.unread = unread;
    else if (offset >= room.newest) room.unread = 0;
  }
}
