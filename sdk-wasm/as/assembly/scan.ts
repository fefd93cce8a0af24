// Goes over JSON that lies in memory, value by value. No recursion: JSON can be as
// deep as it is long.

import { Bytes } from "./bytes";

const QUOTE: i32 = 0x22;
const BACKSLASH: i32 = 0x5c;

let at: usize = 0;
let end: usize = 0;

/** Where the value began that `skip` went over last. */
export let from: usize = 0;

/** Begins. */
export function scan(text: Bytes): void {
  at = text.address;
  end = at + text.length;
}

/** The next byte that is no space, -1 at the end. */
export function peek(): i32 {
  while (at < end) {
    const c = <i32>load<u8>(at);
    if (c > 0x20 || (c != 0x20 && c != 0x09 && c != 0x0a && c != 0x0d)) return c;
    at++;
  }
  return -1;
}

/** Goes over the next byte if it is c. */
export function take(c: i32): bool {
  if (peek() != c) return false;
  at++;
  return true;
}

/** How many bytes the value has that `skip` went over last. */
export function size(): i32 {
  return <i32>(at - from);
}

/** Whether the text that `skip` went over last has escapes in it. */
export let escapes: bool = false;

/** Goes over a value, false if there is none. */
export function skip(): bool {
  const c = peek();
  from = at;
  if (c == QUOTE) return text();
  if (c == 0x7b || c == 0x5b) return nested(); // { [
  let i = at;
  while (i < end && !isEnd(load<u8>(i))) i++;
  at = i;
  return i > from;
}

/** Whether a number, true, false or null is over in front of c. */
function isEnd(c: i32): bool {
  return c <= 0x20 || c == 0x2c || c == 0x3a || c == 0x5d || c == 0x7d || c == QUOTE; // , : ] }
}

function text(): bool {
  const last = end;
  escapes = false;
  for (let i = at + 1; i < last; i++) {
    const c = <i32>load<u8>(i);
    if (c == BACKSLASH) {
      escapes = true;
      i++;
    } else if (c == QUOTE) {
      at = i + 1;
      return true;
    }
  }
  at = last;
  return false;
}

function nested(): bool {
  const last = end;
  let depth = 0;
  let i = at;
  while (i < last) {
    const c = <i32>load<u8>(i);
    if (c == QUOTE) {
      at = i;
      if (!text()) return false;
      i = at;
      continue;
    }
    i++;
    if (c == 0x7b || c == 0x5b) depth++;
    else if ((c == 0x7d || c == 0x5d) && --depth == 0) {
      at = i;
      return true;
    }
  }
  at = last;
  return false;
}
