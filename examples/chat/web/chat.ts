import { Presence, Readers, Typing, Unread } from "../../../clients/js/src/chat.ts";
import { Client, HeddleError } from "../../../clients/js/src/index.ts";
import type { Message, RoomNotice, RoomUpdate } from "../../../clients/js/src/index.ts";
import { ConnectionView } from "./connection.ts";
import { DevicesView } from "./devices.ts";
import { byId } from "./dom.ts";
import { isRoom, Rooms } from "./model.ts";
import type { Room } from "./model.ts";
import { NoticesView } from "./notices.ts";
import { PeopleView } from "./people.ts";
import { RoomList } from "./roomlist.ts";
import { RoomView } from "./roomview.ts";
import { StatusView } from "./status.ts";

/** Signs a user in and connects the client with the views. `opened` hears which room is shown. */
export function startChat(me: string, firstRoom: string | undefined, opened: (room: Room | undefined) => void): Client {
  const device = deviceName();
  const client = new Client({ url: endpoint(), getToken: () => fetchToken(me), acks: true, device, namespaces: ["/", "/notification"] });
  const rooms = new Rooms(me);
  const unread = new Unread(client);
  const readers = new Readers(client);
  const typing = new Typing(client);
  const presence = new Presence(client);
  const people = new PeopleView(client, presence, me);
  new ConnectionView(client);
  new StatusView(client, presence, me);
  new DevicesView(client, presence, me, device);
  const view = new RoomView({ client, me, device, unread, readers, typing });
  const list = new RoomList(client, rooms, unread, open);
  const notices = new NoticesView(client, device, (id) => {
    const room = rooms.find(id);
    if (room) open(room);
    else list.join(id).catch((error: HeddleError) => people.complain(error.message)); // one may be mentioned where one is not
  });

  function open(room: Room | undefined): void {
    list.current = room;
    list.render();
    view.show(room);
    people.show(room);
    notices.seen(room?.id);
    byId("app").classList.toggle("open", room !== undefined);
    opened(room);
  }

  function changed(): void {
    if (view.room && rooms.find(view.room.id) !== view.room) open(undefined);
    list.render();
    view.render();
  }

  function synced(): void {
    const first = firstRoom === undefined ? undefined : rooms.find(firstRoom);
    if (first && !view.room) open(first);
    if (view.room) void people.load(view.room);
    changed();
  }

  client.on("ready", (info) => (rooms.sync(info.rooms), synced()));
  client.on("resumed", (info) => (rooms.sync(info.rooms), synced()));
  client.on("message", (message) => {
    take(rooms, message, me);
    const room = rooms.find(message.room);
    if (room && room === view.room && message.payload.action.startsWith("room:")) void people.load(room);
    changed();
  });
  client.on("event", () => view.render());
  unread.onChange(changed);
  readers.onChange(() => view.render());
  typing.onChange(() => view.render());
  client.on("lost", ({ room: id, to }) => {
    const room = rooms.find(id);
    if (!room) return;
    if (!to) rooms.remove(id);
    else {
      // Edits and deletions may be among what is lost.
      room.timeline.reset();
      if (room === view.room) void view.load(room);
    }
    changed();
  });
  byId("back").addEventListener("click", () => open(undefined));
  byId("leave").addEventListener("click", () => {
    const room = view.room;
    if (!room) return;
    client.room.leave(room.id).then(() => {
      rooms.remove(room.id);
      changed();
    }, (error: HeddleError) => people.complain(error.message));
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

// Each window is a device of its own, and stays that when it is loaded again.
function deviceName(): string {
  const name = sessionStorage.getItem("device") ?? `web-${Math.random().toString(36).slice(2, 6)}`;
  sessionStorage.setItem("device", name);
  return name;
}

async function fetchToken(user: string): Promise<string> {
  const answer = await fetch("/dev/token", {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ user }),
  });
  if (!answer.ok) throw new Error(`no token: ${answer.status}`);
  return ((await answer.json()) as { token: string }).token;
}

function take(rooms: Rooms, message: Message, me: string): void {
  const { action, data } = message.payload;
  if (!isRoom(message.room)) {
    ownRoom(rooms, message);
    return;
  }
  const out = action === "room:delete" || action === "room:expire" || (action === "room:leave" && message.from?.user === me) ||
    (action === "room:update" && (data as RoomUpdate).remove?.includes(me));
  if (out) rooms.remove(message.room);
  else rooms.get(message.room).take(message);
}

// What the user's own room tells: the deeds of other devices, and of those who invite.
function ownRoom(rooms: Rooms, message: Message): void {
  const { room } = message.payload.data as RoomNotice;
  if (message.payload.action === "room:added") rooms.get(room);
  if (message.payload.action === "room:removed") rooms.remove(room);
  for (const known of rooms.all()) known.timeline.take(message); // hidden elsewhere
}
