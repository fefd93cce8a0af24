// Which function is for which event. Of each record only the action is compared, as
// it lies there.

import { AT_HOOK, AT_TEXTS, Field, Hook, HOOKS } from "./contract";
import { Event } from "./event";
import { encode, equal, sizeOf } from "./utf8";

/** One action's function. */
@unmanaged @final
class Handler {
  next: Handler | null = null; // of the same bucket
  fn: usize = 0;
  length: u32 = 0;
  action: usize = 0; // its UTF-8
}

const BUCKETS: usize = 32;
const buckets: usize = memory.data(128); // BUCKETS pointers
const hooks: usize = memory.data(44); // HOOKS pointers
let begun: usize = 0; // the function of start()

/** Has fn called for an action's events, in hooks Before and Handle. The last one for an action counts. */
export function on(action: string, fn: (event: Event) => void): void {
  const h = new Handler();
  h.length = sizeOf(action);
  h.action = heap.alloc(max(h.length, 1));
  encode(action, h.action);
  h.fn = changetype<usize>(fn);
  const b = bucket(h.action, h.length);
  h.next = load<Handler | null>(b);
  store<Handler>(b, h);
}

/** Has fn called for a hook; of Before and Handle, for all actions that have no function of their own. */
export function onHook(hook: Hook, fn: (event: Event) => void): void {
  assert(<i32>hook > 0 && <i32>hook < HOOKS, "there is no such hook");
  store<usize>(hooks + (<usize>hook << 2), changetype<usize>(fn));
}

/**
 * Has fn called once with the config, before the first event. All instances begin
 * from what is there then: it must not keep what is only true now.
 */
export function start(fn: (config: string) => void): void {
  begun = changetype<usize>(fn);
}

/** Calls the function of start(), if there is one. */
export function launch(config: string): void {
  if (begun) changetype<(config: string) => void>(begun)(config);
}

/** Whether start() was called. */
export function launches(): bool {
  return begun != 0;
}

/** Calls the function that is for the record at `at`, if there is one. */
export function dispatch(at: usize, event: Event): void {
  const hook = <i32>load<u8>(at + AT_HOOK);
  let fn: usize = 0;
  if (hook == Hook.Before || hook == Hook.Handle) fn = handler(at);
  if (!fn) {
    if (hook >= HOOKS) return; // of a later version
    fn = load<usize>(hooks + (<usize>hook << 2));
    if (!fn) return;
  }
  changetype<(event: Event) => void>(fn)(event);
}

function handler(at: usize): usize {
  const ref = at + AT_TEXTS + (<usize>Field.Action << 3);
  const action = at + load<u32>(ref);
  const length = load<u32>(ref, 4);
  let h = load<Handler | null>(bucket(action, length));
  while (h) {
    if (h.length == length && equal(h.action, action, length)) return h.fn;
    h = h.next;
  }
  return 0;
}

/** Actions of a plugin differ in their ends, "message:send", "message:edit", or in their length. */
// @ts-ignore: decorator
@inline
function bucket(action: usize, length: u32): usize {
  const end: u32 = length ? load<u8>(action + length - 1) : 0;
  return buckets + ((<usize>(length * 7 + end) & (BUCKETS - 1)) << 2);
}
