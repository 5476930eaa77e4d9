#include "bench.h"
/* SipHash-2-4 of 256 bytes at 16 under the key at 0 */
#define ROL(v, n) ((v) << (n) | (v) >> (64 - (n)))
#define ROUND \
    v0 += v1; v1 = ROL(v1, 13); v1 ^= v0; v0 = ROL(v0, 32); \
    v2 += v3; v3 = ROL(v3, 16); v3 ^= v2; \
    v0 += v3; v3 = ROL(v3, 21); v3 ^= v0; \
    v2 += v1; v1 = ROL(v1, 17); v1 ^= v2; v2 = ROL(v2, 32);
ENTRY {
    SETUP(272);
    if (!NEED(272)) return 0;
    const u64 *words = (const u64 *)mem;
    u64 v0 = words[0] ^ 0x736f6d6570736575ull, v1 = words[1] ^ 0x646f72616e646f6dull;
    u64 v2 = words[0] ^ 0x6c7967656e657261ull, v3 = words[1] ^ 0x7465646279746573ull;
    NOUNROLL
    for (u64 i = 0; i < 32; i++) {
        OPAQUE(i);
        u64 m = words[2 + i];
        v3 ^= m;
        ROUND ROUND
        v0 ^= m;
    }
    u64 last = 256ull << 56;
    v3 ^= last;
    ROUND ROUND
    v0 ^= last;
    v2 ^= 0xff;
    ROUND ROUND ROUND ROUND
    return v0 ^ v1 ^ v2 ^ v3;
}
