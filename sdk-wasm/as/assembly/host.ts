// What a plugin may ask the host for.

import { Bytes } from "./bytes";
import { Status } from "./contract";
import * as host from "./imports";
import { answer, scratch } from "./memory";
import { decode } from "./utf8";

/** Value is what the host answered, or why it did not. */
@final
export class Value {
  constructor(
    readonly status: Status,
    /** What it is; empty if the status is not OK. */
    readonly bytes: StaticArray<u8>,
  ) {}

  get ok(): bool {
    return this.status == Status.OK;
  }

  /** What it is, as text. */
  get text(): string {
    return decode(changetype<usize>(this.bytes), this.bytes.length);
  }

  /** What it is, for the functions of json. */
  get view(): Bytes {
    return Bytes.of(this.bytes);
  }
}

/** Sum is what a number of the store is now, or why it is not. */
@final
export class Sum {
  constructor(
    readonly status: Status,
    readonly value: i64,
  ) {}

  get ok(): bool {
    return this.status == Status.OK;
  }
}

const NOTHING: StaticArray<u8> = [];

/** A value of n bytes that lies in the answer's buffer, or that could not be had. */
export function value(n: i32): Value {
  if (n < 0) return new Value(<Status>n, NOTHING);
  const bytes = new StaticArray<u8>(n);
  memory.copy(changetype<usize>(bytes), answer.address, n);
  return new Value(Status.OK, bytes);
}

/**
 * Whether the answer's buffer was too small for n bytes, which then were not written;
 * it has room for them now.
 */
export function again(n: i32): bool {
  if (n <= answer.capacity) return false;
  answer.reserve(n);
  return true;
}

/** The plugin's config, as JSON. */
export function config(): string {
  answer.reserve(256);
  let n: i32;
  do n = host.config(answer.address, answer.capacity);
  while (again(n));
  return decode(answer.address, n);
}

/** Unix milliseconds. */
export function now(): i64 {
  return host.now();
}

/** Fills a buffer with bytes that nobody can guess. */
export function random(buffer: Uint8Array): Status {
  return <Status>host.random(buffer.dataStart, buffer.byteLength);
}

/** A secret that the operator has given the plugin. Capability: secrets. */
export function secret(name: string): Value {
  const b = scratch();
  const length = b.add(name);
  answer.reserve(256);
  let n: i32;
  do n = host.secret(b.address, length, answer.address, answer.capacity);
  while (again(n));
  return value(n);
}

function metric(kind: i32, name: string, value: f64): Status {
  const b = scratch();
  const length = b.add(name);
  return <Status>host.metric(kind, b.address, length, value);
}

/** Adds to a counter. */
export function count(name: string, n: f64 = 1): Status {
  return metric(0, name, n);
}

/** Sets a gauge. */
export function gauge(name: string, value: f64): Status {
  return metric(1, name, value);
}

/** Observes how long something took. */
export function observe(name: string, seconds: f64): Status {
  return metric(2, name, seconds);
}

function find(kind: i32, name: string): Value {
  const b = scratch();
  const length = b.add(name);
  answer.reserve(1024);
  let n: i32;
  do n = host.lookup(kind, b.address, length, answer.address, answer.capacity);
  while (again(n));
  return value(n);
}

/** Rooms, members and presence, as JSON; times are Unix milliseconds. Capability: lookup. */
export abstract class lookup {
  /** {"name":…,"meta":…,"creator":…,"created_at":…} of a room that keeps members, without meta if there is none; or NotFound. */
  static room(room: string): Value {
    return find(1, room);
  }
  /** {"members":[{"user":…,"role":…},…],"next":…}; next is what `after` wants for those that follow, the last ones have none. */
  static members(room: string, after: string = ""): Value {
    return find(2, after.length ? room + " " + after : room);
  }
  /** {"role":…,"joined_at":…} or NotFound. */
  static member(room: string, user: string): Value {
    return find(3, room + " " + user);
  }
  /** {"status":…,"devices":[…]}: online, away, dnd or offline, and the names of the devices that are there. */
  static presence(user: string): Value {
    return find(4, user);
  }
}
