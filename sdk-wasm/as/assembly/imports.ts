// The host's functions. One that a plugin does not use is not imported: so a plugin
// needs the capabilities of what it calls, no more.

// @ts-ignore: decorator
@external("heddle", "config")
export declare function config(buffer: usize, capacity: i32): i32;
// @ts-ignore: decorator
@external("heddle", "kv_add")
export declare function kvAdd(key: usize, length: i32, delta: i64, ttl: i64, result: usize): i32;
// @ts-ignore: decorator
@external("heddle", "kv_delete")
export declare function kvDelete(key: usize, length: i32): i32;
// @ts-ignore: decorator
@external("heddle", "kv_get")
export declare function kvGet(key: usize, length: i32, buffer: usize, capacity: i32): i32;
// @ts-ignore: decorator
@external("heddle", "kv_put")
export declare function kvPut(key: usize, length: i32, value: usize, size: i32, ttl: i64): i32;
// @ts-ignore: decorator
@external("heddle", "kv_swap")
export declare function kvSwap(
  key: usize, length: i32, old: usize, oldLength: i32, next: usize, nextLength: i32, ttl: i64,
): i32;
// @ts-ignore: decorator
@external("heddle", "log")
export declare function log(level: i32, text: usize, length: i32): void;
// @ts-ignore: decorator
@external("heddle", "lookup")
export declare function lookup(kind: i32, name: usize, length: i32, buffer: usize, capacity: i32): i32;
// @ts-ignore: decorator
@external("heddle", "metric")
export declare function metric(kind: i32, name: usize, length: i32, value: f64): i32;
// @ts-ignore: decorator
@external("heddle", "now")
export declare function now(): i64;
// @ts-ignore: decorator
@external("heddle", "payload")
export declare function payload(record: i32, from: i32, buffer: usize, capacity: i32): i32;
// @ts-ignore: decorator
@external("heddle", "random")
export declare function random(buffer: usize, length: i32): i32;
// @ts-ignore: decorator
@external("heddle", "secret")
export declare function secret(name: usize, length: i32, buffer: usize, capacity: i32): i32;
