#include "bench.h"
/* 16 flows of 12 bytes at 1536, each hashed and sent to the backend that a table of 1021 bytes at 0 names;
 * the backends' weights, 32 of 4 bytes, are at 1024 */
ENTRY {
    SETUP(1728);
    if (!NEED(1728)) return 0;
    u64 sum = 0;
    NOUNROLL
    for (u64 q = 0; q < 16; q++) {
        OPAQUE(q);
        const u32 *flow = (const u32 *)(mem + 1536 + q * 12);
        u64 h = flow[0] ^ (u64)flow[1] << 32;
        h ^= h >> 33; h *= 0xff51afd7ed558ccdull; h ^= flow[2];
        h ^= h >> 33; h *= 0xc4ceb9fe1a85ec53ull; h ^= h >> 33;
        u64 index = (u32)h % 1021;
#ifdef XDP
        OPAQUE(index);
        if (index > 1020) return 0;
#endif
        const u8 *entry = mem + index;
#ifdef XDP
        if (entry + 1 > end) return 0;
#endif
        const u8 *backend = mem + 1024 + (*entry & 31) * 4;
#ifdef XDP
        if (backend + 4 > end) return 0;
#endif
        sum = sum * 7 + *(const u32 *)backend;
    }
    return sum;
}
