#include "bench.h"
/* the name in a DNS question: labels of a length and so many bytes; FNV-1a over the lower case, then labels */
ENTRY {
    SETUP(96);
    if (!NEED(96)) return 0;
    u32 hash = 0x811c9dc5, labels = 0, left = 0;
    NOUNROLL
    for (u32 i = 54; i < 96; i++) {
        OPAQUE(i);
        u32 c = mem[i];
        if (left == 0) {
            if (c == 0) break;
            if (c > 63) return 0;
            left = c;
            labels++;
            c = '.';
        } else {
            left--;
            if (c - 'A' < 26) c += 32;
        }
        hash = (hash ^ c) * 0x01000193;
    }
    return (u64)labels << 32 | hash;
}
