import { Event } from "@heddle-rt/plugin";

// A key of the store has 256 bytes at most, a user up to 128, a room up to 302.
const LONGEST = 120;

/** The key of a user in a room. Neither has spaces in its name. */
export function keyOf(event: Event): string {
  return short(event.room) + " " + event.user;
}

/**
 * A long room's name, cut off and told apart from others by a number, FNV-1a of the
 * whole. Two rooms with the same one could share a wait: somebody would have to look
 * for such names, and would gain nothing.
 */
function short(room: string): string {
  if (room.length <= LONGEST) return room;
  let hash: u64 = 0xcbf29ce484222325;
  for (let i = 0; i < room.length; i++) hash = (hash ^ (<u64>room.charCodeAt(i))) * 0x100000001b3;
  return room.substring(0, LONGEST - 17) + " " + hash.toString(16);
}
