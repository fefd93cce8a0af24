/* An echo for knqyf263/go-plugin in C: the Greeter of its example. A request and a
 * reply are one string in field 1, so that the bytes of one are those of the other. */
#include <stdint.h>

static char request[65536], reply[65536];

__attribute__((export_name("greeter_api_version"))) uint64_t version(void) { return 1; }
__attribute__((export_name("malloc"))) void *take(uint32_t n) { return n > sizeof request ? 0 : request; }
__attribute__((export_name("free"))) void give(void *p) { (void)p; }

__attribute__((export_name("greeter_greet"))) uint64_t greet(const char *at, uint32_t n) {
    __builtin_memcpy(reply, at, n);
    return (uint64_t)(uintptr_t)reply << 32 | n;
}
