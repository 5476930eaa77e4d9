#include "bench.h"
/* 32 keys of 4 bytes at 1024 looked up in a Bloom filter of 8192 bits at 0, 4 hashes each; a bit a key */
ENTRY {
    SETUP(1152);
    if (!NEED(1152)) return 0;
    const u32 *keys = (const u32 *)(mem + 1024);
    u64 found = 0;
    NOUNROLL
    for (u64 q = 0; q < 32; q++) {
        OPAQUE(q);
        u64 hash = keys[q] * 0x9e3779b97f4a7c15ull, hit = 1;
        NOUNROLL
        for (u32 i = 0; i < 4; i++) {
            OPAQUE(i);
            u64 bit = hash & 8191;
            const u8 *p = mem + (bit >> 3);
#ifdef XDP
            if (p + 1 > end) return 0;
#endif
            if (!(*p >> (bit & 7) & 1)) hit = 0;
            hash >>= 13;
        }
        found |= hit << q;
    }
    return found;
}
