export { Presence } from "./presence.ts";
export { Readers } from "./readers.ts";
export { Timeline } from "./timeline.ts";
export type { DeletedEntry, Entry, EventEntry, GapEntry, MessageEntry } from "./timeline.ts";
export { Typing } from "./typing.ts";
export { Unread } from "./unread.ts";
