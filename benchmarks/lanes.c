/* The parser of programs/02_parser.c over many packets: one after the other, and sixteen at a time in the lanes of
 * vectors, where every path is computed and the verdict chosen at the end.  The data ends in 64 bytes of nothing. */
#include <stdint.h>
#include <string.h>

typedef uint8_t u8;
typedef uint32_t u32;
typedef uint64_t u64;

static inline u32 be16(const u8 *p) { return (u32)p[0] << 8 | p[1]; }

static inline u32 parse(const u8 *mem, u64 len) {
    if (len < 14) return 1;
    if (be16(mem + 12) != 0x0800) return 2;
    if (len < 34) return 1;
    u8 vihl = mem[14];
    if (vihl >> 4 != 4) return 1;
    u32 ihl = (vihl & 15) * 4;
    if (ihl < 20) return 1;
    if (be16(mem + 16) < ihl + 20) return 1;
    if (be16(mem + 20) & 0x3fff) return 2;
    if (mem[23] != 6) return 2;
    if (mem[22] <= 1) return 1;
    if (14 + ihl + 20 > len) return 1;
    const u8 *tcp = mem + 14 + ihl;
    if (tcp[12] >> 4 < 5) return 1;
    u32 sport = be16(tcp), dport = be16(tcp + 2);
    u8 flags = tcp[13];
    if ((flags & 3) == 3) return 1;
    if (dport == 443 || dport == 80) return 3;
    if (sport == 53 || dport == 53) return 2;
    return flags & 2 ? 1 : 2;
}

void one_by_one(const u8 *data, const u64 *offsets, u64 count, u64 *verdicts) {
    for (u64 i = 0; i < count; i++)
        verdicts[i] = parse(data + offsets[i], offsets[i + 1] - offsets[i]);
}

#define LANES 16
typedef u32 lanes __attribute__((vector_size(4 * LANES)));
#define ALL(number) ((lanes){} + (u32)(number))
#define UNLESS(condition, verdict) r = (lanes)(((condition) & ALL(verdict)) | (~(condition) & r))

/* Four bytes at a place of each packet, in the order of this machine; of its start where it is too short. */
static inline lanes gather(const u8 *data, const u64 *offsets, lanes at, lanes len) {
    lanes found;
    for (int k = 0; k < LANES; k++) {
        u32 place = at[k] + 4 <= len[k] ? at[k] : 0, word;
        memcpy(&word, data + offsets[k] + place, 4);
        found[k] = word;
    }
    return found;
}

static inline lanes low16(lanes word) { return (word & 0xff) << 8 | (word >> 8 & 0xff); }

static inline lanes parse_all(const u8 *data, const u64 *offsets) {
    lanes len;
    for (int k = 0; k < LANES; k++) len[k] = (u32)(offsets[k + 1] - offsets[k]);
    lanes w12 = gather(data, offsets, ALL(12), len), w16 = gather(data, offsets, ALL(16), len);
    lanes w20 = gather(data, offsets, ALL(20), len);
    lanes vihl = w12 >> 16 & 0xff, ihl = (vihl & 15) * 4, tcp = ihl + 14;
    lanes ports = gather(data, offsets, tcp, len), rest = gather(data, offsets, tcp + 12, len);
    lanes sport = low16(ports), dport = low16(ports >> 16), flags = rest >> 8 & 0xff, r = ALL(2);
    UNLESS((flags & 2) != 0, 1);
    UNLESS((sport == 53) | (dport == 53), 2);
    UNLESS((dport == 443) | (dport == 80), 3);
    UNLESS((flags & 3) == 3, 1);
    UNLESS((rest >> 4 & 15) < 5, 1);
    UNLESS(tcp + 20 > len, 1);
    UNLESS((w20 >> 16 & 0xff) <= 1, 1);
    UNLESS(w20 >> 24 != 6, 2);
    UNLESS((low16(w20) & 0x3fff) != 0, 2);
    UNLESS(low16(w16) < ihl + 20, 1);
    UNLESS(ihl < 20, 1);
    UNLESS(vihl >> 4 != 4, 1);
    UNLESS(len < 34, 1);
    UNLESS(low16(w12) != 0x0800, 2);
    UNLESS(len < 14, 1);
    return r;
}

void in_lanes(const u8 *data, const u64 *offsets, u64 count, u64 *verdicts) {
    u64 i = 0;
    for (; i + LANES <= count; i += LANES) {
        lanes r = parse_all(data, offsets + i);
        for (int k = 0; k < LANES; k++) verdicts[i + k] = r[k];
    }
    one_by_one(data, offsets + i, count - i, verdicts + i);
}
