import assert from "node:assert/strict";
import { test } from "node:test";
import { decode, encode, msgpack } from "./.out/msgpack.js";

const hex = (bytes) => Buffer.from(bytes).toString("hex");

// As the specification has them.
for (const [name, value, want] of [
  ["nil", null, "c0"], ["false", false, "c2"], ["true", true, "c3"],
  ["0", 0, "00"], ["127", 127, "7f"], ["128", 128, "cc80"], ["255", 255, "ccff"], ["256", 256, "cd0100"], ["65535", 65_535, "cdffff"],
  ["65536", 65_536, "ce00010000"], ["2^32-1", 2 ** 32 - 1, "ceffffffff"], ["2^32", 2 ** 32, "cf0000000100000000"],
  ["2^53-1", 2 ** 53 - 1, "cf001fffffffffffff"], ["-1", -1, "ff"], ["-32", -32, "e0"], ["-33", -33, "d2ffffffdf"], ["-2^31", -(2 ** 31), "d280000000"],
  ["-2^31-1", -(2 ** 31) - 1, "d3ffffffff7fffffff"], ["-2^53+1", -(2 ** 53) + 1, "d3ffe0000000000001"],
  ["0.5", 0.5, "cb3fe0000000000000"], ["-0", -0, "cb8000000000000000"], ["2^53", 2 ** 53, "cb4340000000000000"],
  ["empty", "", "a0"], ["31 bytes", "a".repeat(31), `bf${"61".repeat(31)}`], ["32 bytes", "a".repeat(32), `d920${"61".repeat(32)}`],
  ["256 bytes", "a".repeat(256), `da0100${"61".repeat(256)}`], ["65536 bytes", "a".repeat(65_536), `db00010000${"61".repeat(65_536)}`], ["ü", "ü", "a2c3bc"],
  ["array", [1, [2]], "920191" + "02"], ["16 items", Array(16).fill(0), `dc0010${"00".repeat(16)}`],
  ["map", { a: 1, b: {} }, "82a16101a16280"],
]) {
  test(`there and back: ${name}`, () => {
    assert.equal(hex(encode(value)), want);
    assert.deepEqual(decode(encode(value)), value);
  });
}

for (const [name, bytes, want] of [
  ["int 8", "d080", -128], ["int 16", "d18000", -32_768], ["float 32", "ca3f000000", 0.5], ["bin 8", "c40201ff", new Uint8Array([1, 255])],
  ["str 8", "d90161", "a"], ["array 32", "dd0000000101", [1]], ["map 16", "de0001a16101", { a: 1 }], ["map 32", "df00000001a16101", { a: 1 }],
]) {
  test(`what others write: ${name}`, () => assert.deepEqual(decode(Buffer.from(bytes, "hex")), want));
}

for (const [name, bytes] of [
  ["nothing", ""], ["cut off", "a261"], ["a length beyond the end", "dbffffffff61"], ["a huge array", "ddffffffff"], ["more behind it", "0101"], ["an extension", "d40100"],
  ["a key that is a number", "810101"], ["not UTF-8", "a2c328"], ["a code that is none", "c1"], ["too deep", "91".repeat(200) + "01"],
]) {
  test(`refused: ${name}`, () => assert.throws(() => decode(Buffer.from(bytes, "hex"))));
}

test("a key named __proto__ is a key", () => {
  const value = decode(encode(JSON.parse('{"__proto__":{"x":1}}')));
  assert.equal(value.x, undefined);
  assert.deepEqual(Object.keys(value), ["__proto__"]);
});

test("random values, and random bytes", () => {
  let seed = 7;
  const random = (n) => (seed = (seed * 48_271) % 2_147_483_647) % n;
  const make = (depth) => {
    switch (random(depth > 4 ? 5 : 7)) {
      case 0: return null;
      case 1: return random(2) === 0;
      case 2: return (random(2) ? 1 : -1) * Math.floor(2 ** random(53) - random(2));
      case 3: return random(1e6) / 7;
      case 4: return String.fromCodePoint(...Array.from({ length: random(60) }, () => random(2) ? 97 + random(26) : 0x1f300 + random(200)));
      case 5: return Array.from({ length: random(20) }, () => make(depth + 1));
      default: return Object.fromEntries(Array.from({ length: random(20) }, (_, i) => [`k${i}`, make(depth + 1)]));
    }
  };
  for (let i = 0; i < 500; i++) {
    const value = JSON.parse(JSON.stringify(make(0)));
    const bytes = encode(value);
    assert.deepEqual(decode(bytes), value);
    if (bytes.length > 1) assert.throws(() => decode(bytes.subarray(0, random(bytes.length))));
    const broken = bytes.slice();
    broken[random(broken.length)] ^= 1 << random(8);
    try {
      decode(broken);
    } catch {
      // Whatever it is, it ends.
    }
  }
});

test("a batch is an array of the parts", () => {
  const parts = Array.from({ length: 64 }, (_, i) => msgpack.encode(JSON.stringify({ i })));
  assert.deepEqual(msgpack.decode(msgpack.batch(parts)).map((e) => e.i), parts.map((_, i) => i));
});
