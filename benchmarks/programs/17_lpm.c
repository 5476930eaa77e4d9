#include "bench.h"
/* 16 longest-prefix matches: a binary trie of 256 nodes of 8 bytes (two children, a value) at 0, keys at 2048 */
ENTRY {
    SETUP(2112);
    if (!NEED(2112)) return 0;
    const u32 *keys = (const u32 *)(mem + 2048);
    u64 sum = 0;
    NOUNROLL
    for (u64 q = 0; q < 16; q++) {
        OPAQUE(q);
        u32 key = keys[q], node = 0, best = 0;
        NOUNROLL
        for (u32 depth = 0; depth < 16; depth++) {
            OPAQUE(depth);
            const u8 *p = mem + (u64)(node & 255) * 8;
#ifdef XDP
            if (p + 8 > end) return 0;
#endif
            u32 value = *(const u32 *)(p + 4);
            if (value) best = value;
            u32 left = *(const u16 *)p, right = *(const u16 *)(p + 2);
            node = key >> 31 ? right : left;
            if (node == 0) break;
            key <<= 1;
        }
        sum = sum * 31 + best;
    }
    return sum;
}
