// What the host calls. A plugin's file re-exports all of it:
//
//   export * from "@heddle-rt/plugin/exports";

import { Status, VERSION } from "./contract";
import { Event } from "./event";
import { failed, hope } from "./failure";
import { buffers, input } from "./memory";
import { restart, written } from "./output";
import { dispatch, launch, launches } from "./registry";
import "./runtime";
import { decode } from "./utf8";

const event: Event = new Event();

export function heddle_abi(): i32 {
  return VERSION;
}

export function heddle_buffers(): u64 {
  return buffers();
}

export function heddle_init(length: i32): i32 {
  if (launches()) launch(decode(input, length));
  // All instances begin from this memory: the smaller it is, the better.
  __collect();
  return failed ? Status.Failed : Status.OK;
}

export function heddle_batch(count: i32, length: i32): i32 {
  hope();
  restart(count);
  let at = input;
  for (let i = 0; i < count; i++) {
    event.open(at, i);
    dispatch(at, event);
    if (failed) return Status.Failed;
    at += load<u32>(at);
  }
  return written();
}

/** Nothing waits: time to collect garbage. In between the collector runs as memory is asked for. */
export function heddle_idle(): void {
  __collect();
}

/** This instance began from the image of another one, whose random numbers it must not repeat. */
export function heddle_seed(seed: i64): void {
  Math.seedRandom(seed);
}
