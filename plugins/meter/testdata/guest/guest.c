// Guests of the benchmarks. `go generate ./plugins/meter` builds guest.wasm.

typedef unsigned char u8;
typedef unsigned int u32;

static u8 text[65536];

#define EXPORT(name) __attribute__((export_name(name)))

// spin is a tight loop over integers.
EXPORT("spin") u32 spin(u32 n) {
	u32 x = 1;
#pragma clang loop unroll(disable) vectorize(disable)
	for (u32 i = 0; i < n; i++) x = (x ^ (x >> 7)) + i;
	return x;
}

// collatz is a loop with a branch in it, whose trips nobody can foresee.
EXPORT("collatz") u32 collatz(u32 n) {
	u32 steps = 0;
	for (u32 i = 1; i <= n; i++)
		for (u32 x = i; x != 1; steps++) x = x & 1 ? 3 * x + 1 : x / 2;
	return steps;
}

EXPORT("text") u8 *place(void) { return text; }

// find is the tightest scanner: how far is it to a byte.
EXPORT("find") u32 find(u32 n, u32 c) {
	u32 i = 0;
#pragma clang loop unroll(disable)
	while (i < n && text[i] != c) i++;
	return i;
}

// scan walks over JSON: depth, strings with escapes, and members of the top level.
EXPORT("scan") u32 scan(u32 n) {
	u32 depth = 0, members = 0, hash = 0;
	int quoted = 0;
	for (u32 i = 0; i < n; i++) {
		u8 c = text[i];
		if (quoted) {
			if (c == '\\') i++;
			else if (c == '"') quoted = 0;
			else hash = hash * 31 + c;
			continue;
		}
		switch (c) {
		case '"': quoted = 1; break;
		case '{': case '[': depth++; break;
		case '}': case ']': depth--; break;
		case ':': if (depth == 1) members++; break;
		}
	}
	return members ^ hash ^ depth;
}

// small is called often and does little.
__attribute__((noinline)) static u32 small(u32 a, u32 b) { return (a << 5 ^ b) + (a >> 2); }

EXPORT("calls") u32 calls(u32 n) {
	u32 x = 1;
#pragma clang loop unroll(disable)
	for (u32 i = 0; i < n; i++) x = small(x, i);
	return x;
}

__attribute__((noinline)) static u32 fib(u32 n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }

EXPORT("recurse") u32 recurse(u32 n) { return fib(n); }
