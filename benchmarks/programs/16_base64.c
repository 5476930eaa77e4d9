#include "bench.h"
/* 384 bytes to 512 characters of base64 at 384; returns the sum of the characters */
INLINE u32 letter(u32 v) {
    u32 c = v + 'A';
    if (v > 25) c = v + 'a' - 26;
    if (v > 51) c = v + '0' - 52;
    if (v == 62) c = '+';
    if (v == 63) c = '/';
    return c;
}
ENTRY {
    SETUP(896);
    if (!NEED(896)) return 0;
    volatile u8 *out = mem + 384;
    const u8 *in = mem;
    u64 sum = 0;
    NOUNROLL
    for (u64 i = 0; i < 128; i++) {
        OPAQUE(i);
        u32 v = in[3 * i] << 16 | in[3 * i + 1] << 8 | in[3 * i + 2];
        u32 a = letter(v >> 18), b = letter(v >> 12 & 63), c = letter(v >> 6 & 63), d = letter(v & 63);
        out[4 * i] = a; out[4 * i + 1] = b; out[4 * i + 2] = c; out[4 * i + 3] = d;
        sum += a + b + c + d;
    }
    return sum;
}
