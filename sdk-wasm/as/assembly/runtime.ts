// What the compiler's runtime wants of the outside, by the names that asconfig.json
// gives it (--use): then a module imports nothing but the host's functions.

import * as host from "./imports";
import { log } from "./log";

/**
 * A throw, a failed assert, an index that is out of bounds: the log says why, and the
 * instance is over. It takes raw pointers and allocates nothing, since what has
 * failed may be the stack or the allocator.
 */
// @ts-ignore: decorator
@global
function heddleAbort(message: usize, file: usize, line: u32, column: u32): void {
  const text = memory.data(2048);
  if (__stack_pointer < __data_end) { // the compiler's own words for it lie where the heap is
    message = changetype<usize>("stack overflow: functions call each other too deep");
    file = 0;
  }
  let n = message ? append(text, 0, message, 500) : 0;
  if (file) {
    store<u16>(text + n, 0x2820); // " ("
    n = append(text, n + 2, file, 100);
    n = digits(text, n, line);
    n = digits(text, n, column);
    store<u8>(text + n++, 0x29); // )
  }
  host.log(3, text, n);
  unreachable();
}

/** Writes a string, or so many units of it, each of 3 bytes at most, and returns where it ends. */
function append(text: usize, n: i32, string: usize, most: u32): i32 {
  const units = min(load<u32>(string - 4) >> 1, most);
  return n + <i32>String.UTF8.encodeUnsafe(string, units, text + n, false, String.UTF8.ErrorMode.REPLACE);
}

/** Writes a colon and a number. */
function digits(text: usize, n: i32, number: u32): i32 {
  store<u8>(text + n++, 0x3a);
  let power: u32 = 1;
  while (number / power > 9) power *= 10;
  for (; power; power /= 10) store<u8>(text + n++, 0x30 + (number / power) % 10);
  return n;
}

/** What Math.random() begins from. */
// @ts-ignore: decorator
@global
function heddleSeed(): f64 {
  const at = memory.data(8, 8);
  host.random(at, 8);
  return load<f64>(at);
}

// @ts-ignore: decorator
@global
function heddleTrace(message: string, n: i32 = 0, a: f64 = 0, b: f64 = 0, c: f64 = 0, d: f64 = 0, e: f64 = 0): void {
  let line = message;
  if (n > 0) line += " " + a.toString();
  if (n > 1) line += " " + b.toString();
  if (n > 2) line += " " + c.toString();
  if (n > 3) line += " " + d.toString();
  if (n > 4) line += " " + e.toString();
  log.debug(line);
}

// @ts-ignore: decorator
@global
abstract class heddleConsole {
  static assert<T>(condition: T, message: string = ""): void {
    if (!condition) log.error("assertion failed: " + message);
  }
  static debug(message: string = ""): void {
    log.debug(message);
  }
  static error(message: string = ""): void {
    log.error(message);
  }
  static info(message: string = ""): void {
    log.info(message);
  }
  static log(message: string = ""): void {
    log.info(message);
  }
  static warn(message: string = ""): void {
    log.warn(message);
  }
}
