import { Event, json, lookup } from "@heddle-rt/plugin";

import { settings } from "./settings";

/**
 * Whether the sender's role in the room needs no waiting. It is looked up only when it
 * matters: for who would be refused.
 */
export function isExempt(event: Event): bool {
  if (settings.exempt.length == 0) return false;
  // A room's sub-rooms, type:id/feature, have its members.
  const member = lookup.member(event.room.split("/")[0], event.user);
  return member.ok && settings.exempt.includes(json.text(member.view, "role")); // not ok: no member, or nobody knows
}
