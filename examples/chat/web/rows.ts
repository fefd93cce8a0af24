import type { Entry, EventEntry, MessageEntry, Readers } from "../../../clients/js/src/chat.ts";
import type { RoomUpdate } from "../../../clients/js/src/index.ts";
import { clockTime, el } from "./dom.ts";
import type { Row } from "./dom.ts";
import type { Outgoing, Room } from "./model.ts";

const GROUP_MS = 5 * 60_000;
const EMOJI: Record<string, string> = { "👍": "thumbs up", "❤️": "heart", "😂": "laughing", "🎉": "party" };

/** What a person can do with a message. */
export interface Deeds {
  react(message: MessageEntry, key: string, remove: boolean): void;
  edit(message: MessageEntry): void;
  remove(message: MessageEntry): void;
  retry(outgoing: Outgoing): void;
  /** Takes a text that was not sent back into the field. */
  takeBack(outgoing: Outgoing): void;
  discard(outgoing: Outgoing): void;
  editAgain(message: MessageEntry, text: string): void;
  dismiss(offset: number): void;
}

export interface Viewer {
  me: string;
  device: string;
  readers: Readers;
}

// Entries are replaced when they change: a number for each tells them apart.
const numbers = new WeakMap<Entry, number>();
let counter = 0;

function numberOf(entry: Entry): number {
  let n = numbers.get(entry);
  if (n === undefined) numbers.set(entry, (n = ++counter));
  return n;
}

/** The lines of a room, from the oldest to what is not stored yet. */
export function rows(room: Room, viewer: Viewer, deeds: Deeds): Row[] {
  const entries = room.timeline.entries();
  const seenBy = lastReaders(room, entries, viewer);
  let previous: Entry | undefined;
  const all = entries.map((entry) => {
    const row = line(room, entry, previous, viewer, seenBy, deeds);
    previous = entry;
    return row;
  });
  for (const outgoing of room.outgoing.values()) all.push(pending(outgoing, deeds));
  return all;
}

/** Who has read the user's last message. */
function lastReaders(room: Room, entries: readonly Entry[], { me, readers }: Viewer): { offset: number; users: string[] } {
  const last = entries.findLast((e) => e.kind === "message" && e.user === me)?.offset ?? 0;
  return { offset: last, users: last > 0 ? readers.who(room.id, last).filter((user) => user !== me) : [] };
}

function line(
  room: Room, entry: Entry, previous: Entry | undefined, viewer: Viewer, seenBy: { offset: number; users: string[] }, deeds: Deeds,
): Row {
  switch (entry.kind) {
    case "gap":
      return note(`g${entry.offset}`, entry, `${entry.to - entry.offset + 1} events are not there any more (#${entry.offset} to #${entry.to})`, " gap");
    case "deleted":
      return note(`e${entry.offset}`, entry, entry.forMe ? "You removed a message for yourself" : `${entry.by ?? "somebody"} deleted a message`, " gone");
    case "event":
      return note(`e${entry.offset}`, entry, deed(entry));
    case "message":
      return bubble(room, entry, previous, viewer, entry.offset === seenBy.offset ? seenBy.users : [], deeds);
  }
}

function bubble(room: Room, message: MessageEntry, previous: Entry | undefined, viewer: Viewer, readBy: string[], deeds: Deeds): Row {
  const own = message.user === viewer.me;
  const follows = previous?.kind === "message" && previous.user === message.user && message.at - previous.at < GROUP_MS;
  const edit = room.edits.get(message.offset);
  const state = [
    clockTime(message.at),
    ...(message.editedAt !== undefined ? ["edited"] : []),
    own ? `stored #${message.offset}` : `#${message.offset}`,
    ...(own && message.device !== undefined && message.device !== viewer.device ? [`from ${message.device}`] : []),
    ...(readBy.length > 0 ? [`read by ${readBy.join(", ")}`] : []),
    ...(edit ? [edit.failed ? `not changed: ${edit.failed.words}` : "saving …"] : []),
  ].join(" · ");
  return {
    key: `e${message.offset}`,
    signature: `${numberOf(message)} ${follows} ${state} ${edit?.text ?? ""}`,
    make: () => {
      const { text, body } = message.content;
      const meta = el("span", "meta", state);
      if (edit?.failed?.again) meta.append(button("quiet", "edit-again", "Try again", () => deeds.editAgain(message, edit.text)));
      if (edit?.failed) meta.append(button("quiet", "dismiss", "OK", () => deeds.dismiss(message.offset)));
      const item = el("li", `msg${own ? " own" : ""}${follows ? "" : " first"}${edit ? (edit.failed ? " failed" : " sending") : ""}`,
        el("span", "who", message.user ?? "server"),
        el("div", "body", el("div", "bubble", edit && !edit.failed ? edit.text : said(text, body)), tools(message, own, deeds)),
        reactions(message, deeds), meta);
      item.dataset.offset = String(message.offset);
      return item;
    },
  };
}

const said = (text: string | undefined, body: unknown): string => text || (body === undefined || body === null ? "" : JSON.stringify(body));

function tools(message: MessageEntry, own: boolean, deeds: Deeds): HTMLElement {
  const group = el("div", "tools");
  group.role = "group";
  group.ariaLabel = "Message actions";
  for (const [key, name] of Object.entries(EMOJI)) {
    const add = button("", `add-${key}`, key, () => deeds.react(message, key, message.reactions[key]?.me ?? false));
    add.ariaLabel = `React with ${name}`;
    group.append(add);
  }
  if (own && message.content.text !== undefined) group.append(button("", "edit", "Edit", () => deeds.edit(message)));
  group.append(button("", "delete", own ? "Delete" : "Hide", () => deeds.remove(message)));
  return group;
}

function reactions(message: MessageEntry, deeds: Deeds): HTMLElement {
  const list = el("div", "reactions");
  for (const [key, { count, users, me }] of Object.entries(message.reactions)) {
    const chip = button(me ? "mine" : "", `chip-${key}`, `${key} ${count}`, () => deeds.react(message, key, me));
    chip.ariaPressed = String(me);
    const unnamed = count - users.length;
    chip.title = [...users, ...(unnamed > 0 ? [`${unnamed} more`] : [])].join(", ");
    chip.ariaLabel = `${EMOJI[key] ?? key}, ${count}: ${chip.title}`;
    list.append(chip);
  }
  return list;
}

function button(className: string, act: string, text: string, work: () => void): HTMLButtonElement {
  const made = el("button", className, text);
  made.type = "button";
  made.dataset.act = act;
  made.addEventListener("click", work);
  return made;
}

function pending(outgoing: Outgoing, deeds: Deeds): Row {
  const { nonce, text, time, offset, failed, waits } = outgoing;
  const state = failed ? `not sent: ${failed.words}` : offset !== undefined ? `stored #${offset}` : waits ? `sending … (${waits})` : "sending …";
  return {
    key: nonce,
    signature: `${state} ${failed?.again}`,
    make: () => {
      const meta = el("span", "meta", `${clockTime(time)} · ${state}`);
      if (failed?.again) meta.append(button("quiet", "retry", "Send again", () => deeds.retry(outgoing)));
      if (failed) {
        meta.append(button("quiet", "take-back", "Change", () => deeds.takeBack(outgoing)), button("quiet", "discard", "Discard", () => deeds.discard(outgoing)));
      }
      return el("li", `msg own first${failed ? " failed refused" : offset === undefined ? " sending" : ""}`, el("div", "bubble", text), meta);
    },
  };
}

function note(key: string, entry: Entry, text: string, more = ""): Row {
  return { key, signature: `${numberOf(entry)} ${text}`, make: () => el("li", `note${more}`, text) };
}

function deed({ message }: EventEntry): string {
  const who = message.from?.user ?? "somebody";
  switch (message.payload.action) {
    case "room:create":
      return `${who} created the room`;
    case "room:join":
      return `${who} joined`;
    case "room:leave":
      return `${who} left`;
    case "room:update": {
      const { add, remove, name } = message.payload.data as RoomUpdate;
      const parts = [
        ...(add ? [`added ${add.join(", ")}`] : []), ...(remove ? [`removed ${remove.join(", ")}`] : []), ...(name ? [`called the room ${name}`] : []),
      ];
      return `${who} ${parts.join(" and ") || "changed the room"}`;
    }
    case "event:expired":
      return "A message has expired";
    default:
      return `${who}: ${message.payload.action}`;
  }
}
