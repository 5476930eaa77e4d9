#include "bench.h"
#ifdef XDP
#define ZERO ctx->rx_queue_index   /* which the kernel's verifier cannot follow through the loop */
#else
#define ZERO 0
#endif
/* a walk over TCP options: MSS, window scale, SACK permitted and timestamp, packed into the result */
#ifdef XDP
#define INSIDE(p, n) ((p) + (n) <= end)
#else
#define INSIDE(p, n) ((p) + (n) <= last)
#endif
ENTRY {
    SETUP(94);
    if (!NEED(54)) return 0;
    const u8 *p = mem + 54;
    const u32 size = ((mem[46] >> 4) & 15) * 4 - 20;
#ifndef XDP
    const u8 *last = mem + len;
#endif
    u64 found = 0;
    u32 at = ZERO;
    NOUNROLL
    for (u32 i = 0; i < 20; i++) {
        OPAQUE(i);
        if (at >= size || at > 40) break;
        const u8 *o = p + at;
        if (!INSIDE(o, 1)) break;
        u32 kind = o[0];
        if (kind == 0) break;
        if (kind == 1) { at++; continue; }
        if (!INSIDE(o, 2)) break;
        u32 length = o[1];
        if (length < 2 || length > 40) return 0;
        if (kind == 2 && length == 4 && INSIDE(o, 4)) found |= (u64)(o[2] << 8 | o[3]);
        if (kind == 3 && length == 3 && INSIDE(o, 3)) found |= (u64)o[2] << 16;
        if (kind == 4) found |= 1 << 24;
        if (kind == 8 && length == 10 && INSIDE(o, 6)) found |= (u64)o[5] << 32;
        at += length;
    }
    return found | (u64)at << 40;
}
