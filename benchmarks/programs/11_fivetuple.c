#include "bench.h"
/* Jenkins' one-at-a-time-style mix of addresses, ports and protocol of a TCP or UDP packet, as load balancers do */
INLINE u32 rol(u32 v, u32 n) { return v << n | v >> (32 - n); }
ENTRY {
    SETUP(64);
    if (!NEED(42)) return 0;
    if (mem[12] != 8 || mem[13] != 0 || mem[14] != 0x45) return 0;
    u32 protocol = mem[23];
    if (protocol != 6 && protocol != 17) return 0;
    const u32 *words = (const u32 *)(mem + 26);       /* source, destination, ports */
    u32 a = 0xdeadbeef + 12, b = a, c = a;
    a += words[0]; b += words[1]; c += words[2] + protocol;
    c ^= b; c -= rol(b, 14); a ^= c; a -= rol(c, 11);
    b ^= a; b -= rol(a, 25); c ^= b; c -= rol(b, 16);
    a ^= c; a -= rol(c, 4);  b ^= a; b -= rol(a, 14);
    c ^= b; c -= rol(b, 24);
    return c;
}
