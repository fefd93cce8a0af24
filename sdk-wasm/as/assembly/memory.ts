// Memory that the host and the SDK share: the arenas, and buffers for host functions.

import { ARENA_HEADER, MAX_ARENA, MIN_ARENA } from "./contract";
import { atMost, encode } from "./utf8";

let inputSize: i32 = 1 << 20;
let outputSize: i32 = 256 << 10;

/** Where the bytes of the arenas begin; 0 before the host has asked for them. */
export let input: usize = 0;
export let output: usize = 0;
export let outputEnd: usize = 0;

/**
 * Chooses how many bytes of events and of actions a call can have, from 4 KiB to
 * 16 MiB each; 1 MiB and 256 KiB if it is not called. It belongs to the beginning of
 * a plugin, outside of any function: later it is too late.
 */
export function arenas(inputBytes: i32, outputBytes: i32): void {
  assert(input == 0, "arenas() is for the beginning of a plugin");
  inputSize = (min(max(inputBytes, MIN_ARENA), MAX_ARENA) + 7) & ~7;
  outputSize = (min(max(outputBytes, MIN_ARENA), MAX_ARENA) + 7) & ~7;
}

/** Makes the arenas, in one piece of memory, and says where they are as the contract wants it. */
export function buffers(): u64 {
  if (input == 0) {
    const at = heap.alloc(inputSize + outputSize + 2 * ARENA_HEADER + 8);
    store<u64>(at, <u64>inputSize);
    input = at + ARENA_HEADER;
    store<u64>(input + inputSize, <u64>outputSize);
    output = input + inputSize + ARENA_HEADER;
    outputEnd = output + outputSize;
  }
  return <u64>(input - ARENA_HEADER) | (<u64>(output - ARENA_HEADER) << 32);
}

/**
 * Buffer is a piece of memory that grows and is used again and again; its bytes move
 * when it does, so that only offsets may be kept. The collector knows nothing of it.
 */
@unmanaged @final
export class Buffer {
  address: usize;
  capacity: i32;
  length: i32;

  private constructor() {}

  /** Makes room for so many bytes in all. */
  reserve(bytes: u64): void {
    if (bytes <= <u64>this.capacity) return;
    assert(bytes < 1 << 28, "a text is too large");
    this.capacity = <i32>max<u64>(256, bytes + bytes / 4);
    this.address = this.address ? heap.realloc(this.address, this.capacity) : heap.alloc(this.capacity);
  }

  /** Writes value behind what is there, and returns how many bytes it has. */
  add<T>(value: T): i32 {
    this.reserve(<u64>this.length + atMost(value));
    const n = encode(value, this.address + this.length);
    this.length += n;
    return n;
  }
}

const sharedArguments: Buffer = changetype<Buffer>(memory.data(12, 8));

/** The buffer for the arguments of one call of the host, empty. */
export function scratch(): Buffer {
  sharedArguments.length = 0;
  return sharedArguments;
}

/** The buffer for what the host answers. */
export const answer: Buffer = changetype<Buffer>(memory.data(12, 8));
