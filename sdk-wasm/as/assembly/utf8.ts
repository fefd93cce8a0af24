// Strings of AssemblyScript are UTF-16, those of the host UTF-8. What only compares
// does not convert, and what converts does not build a string in between.

import { Bytes } from "./bytes";

/** Whether the UTF-8 at `at` is text. */
export function same(at: usize, length: i32, text: string): bool {
  // Each UTF-16 unit takes one to three bytes, so that this tells most others apart.
  return length >= text.length && length <= text.length * 3 && begins(at, length, text) == length;
}

/** How many bytes text takes at the beginning of the UTF-8 at `at`; -1 if that begins otherwise. */
export function begins(at: usize, length: i32, text: string): i32 {
  let unit = changetype<usize>(text);
  const last = unit + (<usize>text.length << 1);
  let n = 0;
  while (unit < last) {
    const c = <u32>load<u16>(unit);
    if (c >= 0x80) {
      const rest = beginsWide(at + n, length - n, unit, last);
      return rest < 0 ? -1 : n + rest;
    }
    if (n >= length || <u32>load<u8>(at + n) != c) return -1;
    n++;
    unit += 2;
  }
  return n;
}

/** begins, from the first unit on that is not ASCII. */
function beginsWide(at: usize, length: i32, unit: usize, last: usize): i32 {
  const pair = memory.data(8);
  let n = 0;
  while (unit < last) {
    const c = <u32>load<u16>(unit);
    const units: usize = (c & 0xfc00) == 0xd800 && unit + 2 < last && (<u32>load<u16>(unit, 2) & 0xfc00) == 0xdc00 ? 2 : 1;
    const size = <i32>String.UTF8.encodeUnsafe(unit, <i32>units, pair, false, String.UTF8.ErrorMode.REPLACE);
    if (n + size > length) return -1;
    for (let i = 0; i < size; i++) {
      if (load<u8>(at + n + i) != load<u8>(pair + i)) return -1;
    }
    n += size;
    unit += units << 1;
  }
  return n;
}

/** Whether two pieces of memory hold the same. */
export function equal(a: usize, b: usize, length: i32): bool {
  while (length >= 8) {
    if (load<u64>(a) != load<u64>(b)) return false;
    a += 8;
    b += 8;
    length -= 8;
  }
  while (length > 0) {
    if (load<u8>(a++) != load<u8>(b++)) return false;
    length--;
  }
  return true;
}

/** The string of UTF-8. */
export function decode(at: usize, length: i32): string {
  if (length <= 0) return "";
  if (!isASCII(at, length)) return String.UTF8.decodeUnsafe(at, <usize>length);
  let unit = __new(<usize>length << 1, idof<String>());
  const text = changetype<string>(unit);
  for (; length >= 4; length -= 4) { // four at a time: most names and much text is ASCII
    let x = <u64>load<u32>(at);
    x = (x | (x << 16)) & 0x0000ffff0000ffff;
    store<u64>(unit, (x | (x << 8)) & 0x00ff00ff00ff00ff);
    at += 4;
    unit += 8;
  }
  for (; length > 0; length--) {
    store<u16>(unit, <u16>load<u8>(at++));
    unit += 2;
  }
  return text;
}

function isASCII(at: usize, length: i32): bool {
  for (; length >= 8; length -= 8) {
    if (load<u64>(at) & 0x8080808080808080) return false;
    at += 8;
  }
  for (; length > 0; length--) {
    if (load<u8>(at++) & 0x80) return false;
  }
  return true;
}

/** Writes a string to `at`, and says how many bytes these are; half a pair is written as U+FFFD. */
function encodeText(text: string, at: usize): i32 {
  let unit = changetype<usize>(text);
  let left = text.length;
  const from = at;
  for (; left >= 4; left -= 4) {
    let x = load<u64>(unit);
    if (x & 0xff80ff80ff80ff80) break;
    x |= x >> 8;
    store<u32>(at, <u32>((x & 0xffff) | ((x >> 16) & 0xffff0000)));
    unit += 8;
    at += 4;
  }
  const rest = left ? String.UTF8.encodeUnsafe(unit, left, at, false, String.UTF8.ErrorMode.REPLACE) : 0;
  return <i32>(at - from + rest);
}

/** How many bytes value has: a string, Bytes, Uint8Array, ArrayBuffer or StaticArray<u8>. */
export function sizeOf<T>(value: T): i32 {
  if (isString<T>()) return String.UTF8.byteLength(changetype<string>(value));
  if (value instanceof Bytes) return value.length;
  if (value instanceof Uint8Array) return value.byteLength;
  if (value instanceof ArrayBuffer) return value.byteLength;
  if (value instanceof StaticArray<u8>) return value.length;
  ERROR("a text or payload is a string, Bytes, Uint8Array, ArrayBuffer or StaticArray<u8>");
}

/** Writes value to `at`, which has room for it, and says how many bytes these are. */
export function encode<T>(value: T, at: usize): i32 {
  if (isString<T>()) {
    return encodeText(changetype<string>(value), at);
  }
  const size = sizeOf(value);
  memory.copy(at, addressOf(value), size);
  return size;
}

/** Where the bytes of a value lie that is no string. */
export function addressOf<T>(value: T): usize {
  if (value instanceof Bytes) return value.address;
  if (value instanceof Uint8Array) return value.dataStart;
  return changetype<usize>(value);
}

/** At least as many bytes as value has, without a look at its text. */
export function atMost<T>(value: T): u64 {
  if (isString<T>()) return <u64>changetype<string>(value).length * 3;
  return <u64>sizeOf(value);
}
