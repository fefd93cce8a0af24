// Slow mode: who has sent a message to a room waits some seconds with the next one.
//
// For as long as somebody has to wait there is a key in the store, whose value is when
// the wait is over, and which goes by itself then. Whoever finds no key may send: most
// messages cost one call of the host.
import { Event, kv, on, start, Status, statusName } from "@heddle-rt/plugin";
export * from "@heddle-rt/plugin/exports";

import { isExempt } from "./exempt";
import { keyOf } from "./key";
import { settings } from "./settings";

start((config) => settings.read(config));

on("message:send", (event) => {
  const wait = settings.wait;
  if (wait == 0 || event.server) return; // the tenant's backend may say what it wants
  const key = keyOf(event);
  const until = event.time + wait;
  const status = kv.swap(key, null, until.toString(), wait);
  if (status == Status.OK) return;
  if (status == Status.Conflict) again(event, key, until);
  else event.fail("the store: " + statusName(status));
});

/** Somebody has sent a message before. */
function again(event: Event, key: string, until: i64): void {
  const left = waiting(key) - event.time;
  if (left <= 0) {
    // The store's clock is behind the event's: the key is on its way out.
    kv.put(key, until.toString(), settings.wait);
  } else if (!isExempt(event)) {
    // Refused messages do not make the wait longer.
    event.rateLimit("slow mode: one message in " + (settings.wait / 1000).toString() + " s", min(left, settings.wait));
  }
}

/** When the wait of a key is over, in Unix milliseconds; 0 if it is gone. */
function waiting(key: string): i64 {
  const value = kv.get(key);
  return value.ok ? i64.parse(value.text) : 0;
}
