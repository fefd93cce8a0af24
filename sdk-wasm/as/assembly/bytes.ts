import { addressOf, begins, decode, same, sizeOf } from "./utf8";

/**
 * Bytes are a view of UTF-8 or other bytes that lie in the plugin's memory: nothing is
 * copied. Those of an event are good until its function returns.
 */
@final
export class Bytes {
  constructor(
    /** Where they begin. */
    readonly address: usize,
    /** How many they are. */
    readonly length: i32,
    private owner: Object | null = null,
  ) {}

  /** A view of what an array has, or of a string's UTF-8. */
  static of<T>(value: T): Bytes {
    if (isString<T>()) {
      const text = String.UTF8.encode(changetype<string>(value));
      return new Bytes(changetype<usize>(text), text.byteLength, text);
    }
    return new Bytes(addressOf(value), sizeOf(value), value);
  }

  /** Byte i; a trap if there is none. */
  @operator("[]") at(i: i32): u8 {
    if (<u32>i >= <u32>this.length) throw new RangeError("there is no byte " + i.toString());
    return load<u8>(this.address + i);
  }

  /** Whether they are this text, which is not converted. */
  equals(text: string): bool {
    return same(this.address, this.length, text);
  }

  /** Whether they begin with this text. */
  startsWith(text: string): bool {
    return begins(this.address, this.length, text) >= 0;
  }

  /** Where text begins, from a byte on; -1 if nowhere. */
  indexOf(text: string, from: i32 = 0): i32 {
    for (let i = max(from, 0); i + text.length <= this.length; i++) {
      if (begins(this.address + i, this.length - i, text) >= 0) return i;
    }
    return -1;
  }

  /** A part of them, likewise a view. */
  slice(from: i32, to: i32 = i32.MAX_VALUE): Bytes {
    const begin = min(max(from, 0), this.length);
    return new Bytes(this.address + begin, max(min(to, this.length), begin) - begin, this.owner);
  }

  /** A copy that may be kept. */
  copy(): Uint8Array {
    const array = new Uint8Array(this.length);
    memory.copy(array.dataStart, this.address, this.length);
    return array;
  }

  /** The text. */
  toString(): string {
    return decode(this.address, this.length);
  }
}
