#include "bench.h"
#ifdef XDP
#define ZERO ctx->rx_queue_index   /* which the kernel's verifier cannot follow through the loop */
#else
#define ZERO 0
#endif
/* a scan over 640 bytes of JSON: strings, escapes, depth, and numbers; returns what was counted */
ENTRY {
    SETUP(640);
    if (!NEED(640)) return 0;
    u64 strings = 0, digits = 0, depth = ZERO, deepest = depth, inside = 0, escaped = 0;
    NOUNROLL
    for (u32 i = 0; i < 640; i++) {
        OPAQUE(i);
        u32 c = mem[i];
        if (inside) {
            if (escaped) escaped = 0;
            else if (c == '\\') escaped = 1;
            else if (c == '"') inside = 0;
            continue;
        }
        if (c == '"') { inside = 1; strings++; }
        else if (c == '{' || c == '[') { if (++depth > deepest) deepest = depth; }
        else if (c == '}' || c == ']') depth--;
        else if (c - '0' < 10) digits++;
    }
    return strings << 32 | digits << 16 | deepest << 8 | (depth & 255);
}
