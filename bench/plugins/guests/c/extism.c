/* An echo for Extism in C, as its Go PDK does it: eight bytes a call, since a guest
 * does not see the memory that input and output are in. */
#include <stdint.h>

#define HOST(name) __attribute__((import_module("extism:host/env"), import_name(#name)))
HOST(input_length) uint64_t input_length(void);
HOST(input_load_u8) uint32_t input_load_u8(uint64_t);
HOST(input_load_u64) uint64_t input_load_u64(uint64_t);
HOST(alloc) uint64_t alloc(uint64_t);
HOST(store_u8) void store_u8(uint64_t, uint32_t);
HOST(store_u64) void store_u64(uint64_t, uint64_t);
HOST(output_set) void output_set(uint64_t, uint64_t);

static char text[65536];

__attribute__((export_name("echo"))) int32_t echo(void) {
    uint64_t n = input_length(), i;
    if (n > sizeof text) return 1;
    for (i = 0; i + 8 <= n; i += 8) *(uint64_t *)(text + i) = input_load_u64(i);
    for (; i < n; i++) text[i] = (char)input_load_u8(i);
    uint64_t out = alloc(n);
    for (i = 0; i + 8 <= n; i += 8) store_u64(out + i, *(uint64_t *)(text + i));
    for (; i < n; i++) store_u8(out + i, (unsigned char)text[i]);
    output_set(out, n);
    return 0;
}
