// Writes the list of actions into the output arena. An action that does not fit
// leaves no trace of itself but a line in the log, and the call has failed.

import {
  ACTION_CODE, ACTION_FLAGS, ACTION_KIND, ACTION_NUMBER, ACTION_RECORD, ACTION_REFS, ACTION_SIZE, ActionKind, Status,
} from "./contract";
import { giveUp } from "./failure";
import { log } from "./log";
import { output, outputEnd } from "./memory";
import { atMost, encode, sizeOf } from "./utf8";

let action: usize = 0; // the one that is being written
let cursor: usize = 0;
let full: bool = false;
let alone: bool = false; // the call has one event, and nobody else's actions are here
let told: bool = false; // that it is full, in this call

/** Begins the list of a call with so many events. */
export function restart(count: i32): void {
  action = output;
  alone = count == 1;
  told = false;
}

/** How many bytes the list has. */
export function written(): i32 {
  return <i32>(action - output);
}

/** Begins an action. */
export function begin(kind: ActionKind, record: i32, flags: u32 = 0, code: u32 = 0, number: i64 = 0): void {
  full = outputEnd - action < ACTION_SIZE;
  if (full) return;
  store<u16>(action + ACTION_KIND, <u16>kind);
  store<u16>(action + ACTION_RECORD, <u16>record);
  store<u32>(action + ACTION_FLAGS, flags);
  store<u32>(action + ACTION_CODE, code);
  store<i64>(action + ACTION_NUMBER, number);
  cursor = action + ACTION_SIZE;
}

/** Writes a piece of text or bytes behind what is there. */
export function put<T>(value: T): void {
  if (full) return;
  const room = <u64>(outputEnd - cursor);
  if (atMost(value) > room && <u64>sizeOf(value) > room) {
    full = true;
    return;
  }
  cursor += encode(value, cursor);
}

/** Names what was written since `from` as the action's reference i. */
export function reference(i: usize, from: usize): void {
  if (full) return;
  store<u32>(action + ACTION_REFS + (i << 3), <u32>(from - action));
  store<u32>(action + ACTION_REFS + (i << 3) + 4, <u32>(cursor - from));
}

/** Where the next piece will be. */
export function here(): usize {
  return cursor;
}

/** Writes reference i. */
export function refer<T>(i: usize, value: T): void {
  const from = cursor;
  put(value);
  reference(i, from);
}

/** Leaves the references from i on empty, and ends the action. */
export function end(i: usize): Status {
  for (; i < 4; i++) reference(i, cursor);
  if (full) return overflow();
  // The capacity is a multiple of 8, so that what fits does with its padding, and
  // there are 8 bytes behind the arena.
  store<u64>(cursor, 0);
  cursor = (cursor + 7) & ~7;
  store<u32>(action, <u32>(cursor - action));
  action = cursor;
  return Status.OK;
}

function overflow(): Status {
  if (!told) {
    told = true;
    giveUp();
    const text = "the output is full: an action does not fit; all actions of a call have " + (outputEnd - output).toString() + " bytes, see arenas()";
    // Events that are not alone are run again in smaller calls, and may come to their end there.
    if (alone) log.error(text);
    else log.warn(text);
  }
  return Status.Failed;
}
