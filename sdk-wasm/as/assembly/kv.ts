import { Status } from "./contract";
import { Sum, Value, value, again } from "./host";
import * as host from "./imports";
import { answer, scratch } from "./memory";

/**
 * The tenant's store, this plugin's part of it. What an event changes is there for
 * itself at once, and for others when the call has succeeded. A time to live is in
 * milliseconds, 0 for ever. Capability: kv.
 */
export abstract class kv {
  /** The value, or NotFound. */
  static get(key: string): Value {
    const b = scratch();
    const length = b.add(key);
    answer.reserve(256);
    let n: i32;
    do n = host.kvGet(b.address, length, answer.address, answer.capacity);
    while (again(n));
    return value(n);
  }

  /** Sets a value: a string, Bytes, Uint8Array, ArrayBuffer or StaticArray<u8>. */
  static put<T>(key: string, value: T, ttl: i64 = 0): Status {
    const b = scratch();
    const length = b.add(key);
    const size = b.add(value);
    return <Status>host.kvPut(b.address, length, b.address + length, size, ttl);
  }

  static delete(key: string): Status {
    const b = scratch();
    const length = b.add(key);
    return <Status>host.kvDelete(b.address, length);
  }

  /** Adds to a number, 0 if there is none. Invalid if the value is no number. */
  static add(key: string, delta: i64, ttl: i64 = 0): Sum {
    const b = scratch();
    const length = b.add(key);
    const result = memory.data(8, 8);
    const status = <Status>host.kvAdd(b.address, length, delta, ttl, result);
    return new Sum(status, status == Status.OK ? load<i64>(result) : 0);
  }

  /** Sets a value if it still is `old`, or says Conflict; null is no value. */
  static swap(key: string, old: string | null, next: string | null, ttl: i64 = 0): Status {
    const b = scratch();
    const length = b.add(key);
    const was = old === null ? -1 : b.add(old);
    const will = next === null ? -1 : b.add(next);
    const from = b.address + length;
    return <Status>host.kvSwap(b.address, length, from, was, from + max(was, 0), will, ttl);
  }
}
