import { Bytes } from "./bytes";
import { ATTR_HEADER, ATTR_NAME, ATTR_TYPE, ATTR_VALUE, AttrType } from "./contract";
import { decode, same } from "./utf8";

/**
 * Attribute is a typed value beside the payload: one that the manifest declares, or
 * that a plugin in front of this one has set. It is good until the event's function
 * returns. What it is not, it is 0 or empty of.
 */
@unmanaged @final
export class Attribute {
  private constructor() {}

  get type(): AttrType {
    return <AttrType>load<u8>(changetype<usize>(this) + ATTR_TYPE);
  }

  get name(): string {
    const at = changetype<usize>(this);
    return decode(at + ATTR_HEADER, load<u16>(at + ATTR_NAME));
  }

  /** Whether that is its name, without converting it. */
  isNamed(name: string): bool {
    const at = changetype<usize>(this);
    return same(at + ATTR_HEADER, load<u16>(at + ATTR_NAME), name);
  }

  get bool(): bool {
    return this.type == AttrType.Bool && this.number != 0;
  }

  get int(): i64 {
    return this.type == AttrType.Int ? this.number : 0;
  }

  /** A float, or an int as one. */
  get float(): f64 {
    if (this.type == AttrType.Int) return <f64>this.number;
    return this.type == AttrType.Float ? reinterpret<f64>(this.number) : 0;
  }

  get text(): string {
    return this.of(AttrType.Text).toString();
  }

  /** An object or array, as JSON. */
  get json(): string {
    return this.of(AttrType.JSON).toString();
  }

  /** The bytes of a text, or of an object or array. */
  get bytes(): Bytes {
    return this.of(this.type == AttrType.JSON ? AttrType.JSON : AttrType.Text);
  }

  /** Whether it is this text, without converting it. */
  equals(text: string): bool {
    const at = changetype<usize>(this);
    return this.type == AttrType.Text && same(at + ATTR_HEADER + load<u16>(at + ATTR_NAME), <i32>this.number, text);
  }

  private get number(): i64 {
    return load<i64>(changetype<usize>(this) + ATTR_VALUE);
  }

  private of(type: AttrType): Bytes {
    const at = changetype<usize>(this);
    const from = at + ATTR_HEADER + load<u16>(at + ATTR_NAME);
    return new Bytes(from, this.type == type ? <i32>this.number : 0);
  }
}
