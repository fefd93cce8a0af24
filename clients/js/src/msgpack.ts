// MessagePack for the subprotocol heddle.v1.msgpack: what JSON can say, and bytes on
// the way in. https://github.com/msgpack/msgpack/blob/master/spec.md
import type { Codec } from "./codec.ts";

const utf8 = new TextEncoder();
const text = new TextDecoder("utf-8", { fatal: true });
const TWO32 = 2 ** 32;
// Strings up to here are read character by character, which is faster.
const SHORT = 24;
const MAX_DEPTH = 100;

/** Give it to a client as `codec`. */
export const msgpack: Codec<Uint8Array> = {
  subprotocol: "heddle.v1.msgpack",
  encode: (json) => encode(JSON.parse(json)),
  bytes: (part) => part.length,
  batch(parts) {
    const head = new Writer();
    head.head(parts.length, 0x90, 15, undefined, 0xdc);
    let at = head.length;
    const frame = new Uint8Array(parts.reduce((sum, part) => sum + part.length, at));
    frame.set(head.done());
    for (const part of parts) {
      frame.set(part, at);
      at += part.length;
    }
    return frame;
  },
  decode: (frame) => decode(frame as ArrayBuffer | ArrayBufferView),
};

/** A value of JSON as MessagePack. */
export function encode(value: unknown): Uint8Array {
  const writer = new Writer();
  writer.value(value);
  return writer.done();
}

/** The one value that the bytes hold. Throws a RangeError for what is cut off, extended, or followed by more. */
export function decode(bytes: ArrayBuffer | ArrayBufferView): unknown {
  const reader = new Reader(bytes);
  const value = reader.value(0);
  reader.end();
  return value;
}

class Writer {
  length = 0;
  #at = 0;
  #bytes = new Uint8Array(256);
  #view = new DataView(this.#bytes.buffer);

  done(): Uint8Array {
    return this.#bytes.subarray(0, this.length);
  }

  value(value: unknown): void {
    if (value === null || value === undefined) this.#byte(0xc0);
    else if (typeof value === "boolean") this.#byte(value ? 0xc3 : 0xc2);
    else if (typeof value === "number") this.#number(value);
    else if (typeof value === "string") this.#string(value);
    else if (Array.isArray(value)) {
      this.head(value.length, 0x90, 15, undefined, 0xdc);
      for (const item of value) this.value(item);
    } else {
      const entries = Object.entries(value as object);
      this.head(entries.length, 0x80, 15, undefined, 0xde);
      for (const [key, item] of entries) {
        this.#string(key);
        this.value(item);
      }
    }
  }

  /** A length: within the first byte, in one more, or in two or four, whose code is `wide` or the next. */
  head(n: number, fix: number, most: number, narrow: number | undefined, wide: number): void {
    if (n <= most) this.#byte(fix | n);
    else if (n < 256 && narrow !== undefined) this.#room(2).setUint16(this.#at, (narrow << 8) | n);
    else if (n < 65_536) {
      this.#byte(wide);
      this.#room(2).setUint16(this.#at, n);
    } else {
      this.#byte(wide + 1);
      this.#room(4).setUint32(this.#at, n);
    }
  }

  #number(n: number): void {
    if (!Number.isSafeInteger(n) || Object.is(n, -0)) {
      this.#byte(0xcb);
      this.#room(8).setFloat64(this.#at, n);
    } else if (n >= 0 ? n < 128 : n >= -32) this.#byte(n & 255);
    else if (n >= 0 && n < TWO32) this.head(n, 0, -1, 0xcc, 0xcd);
    else if (n < 0 && n >= -(2 ** 31)) {
      this.#byte(0xd2);
      this.#room(4).setInt32(this.#at, n);
    } else {
      this.#byte(n < 0 ? 0xd3 : 0xcf);
      this.#room(4).setInt32(this.#at, Math.floor(n / TWO32)); // wraps, as two's complement
      this.#room(4).setUint32(this.#at, n >>> 0);
    }
  }

  #string(value: string): void {
    const bytes = utf8.encode(value);
    this.head(bytes.length, 0xa0, 31, 0xd9, 0xda);
    this.#room(bytes.length);
    this.#bytes.set(bytes, this.#at);
  }

  #byte(byte: number): void {
    this.#room(1);
    this.#bytes[this.#at] = byte;
  }

  // Makes room for n bytes, which begin at #at. What held the bytes before may be gone.
  #room(n: number): DataView {
    this.#at = this.length;
    this.length += n;
    if (this.length > this.#bytes.length) {
      const old = this.#bytes;
      this.#bytes = new Uint8Array(Math.max(this.length, 2 * old.length));
      this.#bytes.set(old);
      this.#view = new DataView(this.#bytes.buffer);
    }
    return this.#view;
  }
}

class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(source: ArrayBuffer | ArrayBufferView) {
    const { buffer, byteOffset, byteLength } = ArrayBuffer.isView(source) ? source : { buffer: source, byteOffset: 0, byteLength: source.byteLength };
    this.#bytes = new Uint8Array(buffer, byteOffset, byteLength);
    this.#view = new DataView(buffer, byteOffset, byteLength);
  }

  end(): void {
    if (this.#at !== this.#bytes.length) throw new RangeError("more than one value");
  }

  value(depth: number): unknown {
    if (depth > MAX_DEPTH) throw new RangeError("nested too deep");
    const code = this.#view.getUint8(this.#take(1));
    if (code < 0x80) return code;
    if (code < 0x90) return this.#map(code & 15, depth);
    if (code < 0xa0) return this.#array(code & 15, depth);
    if (code < 0xc0) return this.#string(code & 31);
    if (code >= 0xe0) return code - 256;
    switch (code) {
      case 0xc0: return null;
      case 0xc2: return false;
      case 0xc3: return true;
      case 0xc4: case 0xc5: case 0xc6: return this.#raw(this.#uint(code - 0xc4)).slice();
      case 0xca: return this.#view.getFloat32(this.#take(4));
      case 0xcb: return this.#view.getFloat64(this.#take(8));
      case 0xcc: case 0xcd: case 0xce: return this.#uint(code - 0xcc);
      case 0xcf: return this.#uint(2) * TWO32 + this.#uint(2);
      case 0xd0: return this.#view.getInt8(this.#take(1));
      case 0xd1: return this.#view.getInt16(this.#take(2));
      case 0xd2: return this.#view.getInt32(this.#take(4));
      case 0xd3: return this.#view.getInt32(this.#take(4)) * TWO32 + this.#uint(2);
      case 0xd9: case 0xda: case 0xdb: return this.#string(this.#uint(code - 0xd9));
      case 0xdc: case 0xdd: return this.#array(this.#uint(code - 0xdb), depth);
      case 0xde: case 0xdf: return this.#map(this.#uint(code - 0xdd), depth);
      default: throw new RangeError("an extension");
    }
  }

  // Of one, two or four bytes.
  #uint(size: number): number {
    if (size === 0) return this.#view.getUint8(this.#take(1));
    return size === 1 ? this.#view.getUint16(this.#take(2)) : this.#view.getUint32(this.#take(4));
  }

  #take(n: number): number {
    const at = this.#at;
    if (at + n > this.#bytes.length) throw new RangeError("cut off");
    this.#at += n;
    return at;
  }

  #raw(n: number): Uint8Array {
    const at = this.#take(n);
    return this.#bytes.subarray(at, at + n);
  }

  #string(n: number): string {
    const raw = this.#raw(n);
    if (n > SHORT) return text.decode(raw);
    let short = "";
    for (const byte of raw) {
      if (byte > 127) return text.decode(raw);
      short += String.fromCharCode(byte);
    }
    return short;
  }

  #array(n: number, depth: number): unknown[] {
    const items: unknown[] = [];
    for (let i = 0; i < n; i++) items.push(this.value(depth + 1));
    return items;
  }

  #map(n: number, depth: number): object {
    const map: Record<string, unknown> = {};
    for (let i = 0; i < n; i++) {
      const key = this.value(depth + 1);
      if (typeof key !== "string") throw new RangeError("a key that is not a string");
      if (key === "__proto__") Object.defineProperty(map, key, { value: this.value(depth + 1), enumerable: true, writable: true, configurable: true });
      else map[key] = this.value(depth + 1);
    }
    return map;
  }
}
