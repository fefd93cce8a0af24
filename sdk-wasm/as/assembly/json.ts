import { Bytes } from "./bytes";
import * as s from "./scan";
import { decode, same } from "./utf8";

const QUOTE: i32 = 0x22;
const BACKSLASH: i32 = 0x5c;

/**
 * JSON as far as plugins need it: quoting a text, and finding a value by its key
 * without making objects of the rest. In what is no JSON nothing is found; what is
 * found was not checked further, since the host has checked payloads already. Of a
 * key that is there twice the last one counts, as it does for most that read JSON.
 */
export abstract class json {
  /** The text as a JSON string, with its quotes. */
  static quote(text: string): string {
    let from = 0;
    let quoted = '"';
    for (let i = 0, n = text.length; i < n; i++) {
      const c = text.charCodeAt(i);
      if (c >= 0x20 && c != QUOTE && c != BACKSLASH) continue;
      if (from < i) quoted += text.substring(from, i);
      quoted += escaped(c);
      from = i + 1;
    }
    return quoted + (from ? text.substring(from) : text) + '"';
  }

  /** The value of a key of an object, as it lies there; null if there is none. */
  static find(object: Bytes, key: string): Bytes | null {
    let at: usize = 0;
    let size = 0;
    s.scan(object);
    if (!s.take(0x7b) || s.peek() != QUOTE) return null; // {
    do {
      if (s.peek() != QUOTE || !s.skip()) return null;
      const found = isKey(s.from, s.size(), key);
      if (!s.take(0x3a) || !s.skip()) return null; // :
      if (found) {
        at = s.from;
        size = s.size();
      }
    } while (s.take(0x2c)); // ,
    return at ? object.slice(<i32>(at - object.address), <i32>(at - object.address) + size) : null;
  }

  /** The text of a key, or `otherwise`. */
  static text(object: Bytes, key: string, otherwise: string = ""): string {
    const v = json.find(object, key);
    return v !== null && v[0] == QUOTE ? json.unquote(v) : otherwise;
  }

  /** The number of a key, or `otherwise`. */
  static number(object: Bytes, key: string, otherwise: f64 = NaN): f64 {
    const v = json.find(object, key);
    return v !== null && isNumber(v) ? parseFloat(v.toString()) : otherwise;
  }

  /** The whole number of a key, or `otherwise`. */
  static int(object: Bytes, key: string, otherwise: i64 = 0): i64 {
    const v = json.find(object, key);
    return v !== null && isNumber(v) ? whole(v, otherwise) : otherwise;
  }

  /** The true or false of a key, or `otherwise`. */
  static bool(object: Bytes, key: string, otherwise: bool = false): bool {
    const v = json.find(object, key);
    if (v === null) return otherwise;
    return v.equals("true") ? true : v.equals("false") ? false : otherwise;
  }

  /** The values of an array, as they lie there. */
  static items(array: Bytes): Bytes[] {
    const all: Bytes[] = [];
    s.scan(array);
    if (!s.take(0x5b) || s.peek() == 0x5d) return all; // [ ]
    while (s.skip()) {
      const from = <i32>(s.from - array.address);
      all.push(array.slice(from, from + s.size()));
      if (!s.take(0x2c)) break; // ,
    }
    return all;
  }

  /** The text of a JSON string that `find` or `items` gave; "" if it is none. */
  static unquote(value: Bytes): string {
    const last = value.length - 1;
    if (last < 1 || value[0] != QUOTE || value[last] != QUOTE) return "";
    let from = 1;
    let text = "";
    for (let i = 1; i < last; i++) {
      if (value[i] != BACKSLASH) continue;
      text += decode(value.address + from, i - from);
      if (++i >= last) return text;
      const c = value[i];
      if (c == 0x75) { // u
        text += String.fromCharCode(hexadecimal(value, i + 1, last));
        i = min(i + 4, last);
      } else {
        text += String.fromCharCode(unescaped(c));
      }
      from = i + 1;
    }
    return text + decode(value.address + from, last - from);
  }
}

function escaped(c: i32): string {
  switch (c) {
    case QUOTE: return '\\"';
    case BACKSLASH: return "\\\\";
    case 0x08: return "\\b";
    case 0x09: return "\\t";
    case 0x0a: return "\\n";
    case 0x0c: return "\\f";
    case 0x0d: return "\\r";
  }
  return c < 0x10 ? "\\u000" + c.toString(16) : "\\u00" + c.toString(16);
}

function unescaped(c: i32): i32 {
  switch (c) {
    case 0x62: return 0x08; // b
    case 0x74: return 0x09; // t
    case 0x6e: return 0x0a; // n
    case 0x66: return 0x0c; // f
    case 0x72: return 0x0d; // r
  }
  return c;
}

function hexadecimal(value: Bytes, from: i32, last: i32): i32 {
  let n = 0;
  for (let i = from; i < min(from + 4, last); i++) {
    const c = <i32>value[i] | 0x20;
    n = (n << 4) | ((c < 0x60 ? c - 0x30 : c - 0x57) & 15);
  }
  return n;
}

/** Whether the JSON string that was gone over last is the key; only one with escapes has to be converted. */
function isKey(at: usize, size: i32, key: string): bool {
  return s.escapes ? json.unquote(new Bytes(at, size)) == key : same(at + 1, size - 2, key);
}

function isNumber(v: Bytes): bool {
  const c = <i32>v[0];
  return c == 0x2d || (c >= 0x30 && c <= 0x39);
}

/** A whole number that an i64 holds; 1e3 and 2.0 are some too. */
function whole(v: Bytes, otherwise: i64): i64 {
  const negative = v[0] == 0x2d;
  let n: u64 = 0;
  for (let i = <i32>negative; i < v.length; i++) {
    const digit = <u64>v[i] - 0x30;
    if (digit > 9) {
      const f = parseFloat(v.toString());
      return f == Math.trunc(f) && Math.abs(f) < 9.2e18 ? <i64>f : otherwise;
    }
    if (n > (<u64>i64.MAX_VALUE - digit) / 10) return otherwise;
    n = n * 10 + digit;
  }
  return negative ? -(<i64>n) : <i64>n;
}
