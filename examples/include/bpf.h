/* What a program with maps needs beside xdp.h: definitions of maps as libbpf spells them, helpers,
 * and a cursor over the packet.
 */
#pragma once

#include "xdp.h"

#define NULL ((void *)0)

#define __uint(name, value) int(*name)[value]
#define __type(name, kind) typeof(kind) *name

enum bpf_map_type {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_LRU_HASH = 9,
	BPF_MAP_TYPE_LPM_TRIE = 11,
	BPF_MAP_TYPE_RINGBUF = 27,
};

#define BPF_F_NO_PREALLOC 1 /* the kernel wants it of a trie */

enum bpf_update_flags {
	BPF_ANY = 0,
	BPF_NOEXIST = 1,
	BPF_EXIST = 2,
};

static void *(*const bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static long (*const bpf_map_update_elem)(void *map, const void *key, const void *value,
					 u64 flags) = (void *)2;
static long (*const bpf_map_delete_elem)(void *map, const void *key) = (void *)3;
static u64 (*const bpf_ktime_get_ns)(void) = (void *)5;
static long (*const bpf_xdp_adjust_head)(struct xdp_md *ctx, int delta) = (void *)44;
static void *(*const bpf_ringbuf_reserve)(void *ring, u64 size, u64 flags) = (void *)131;
static void (*const bpf_ringbuf_submit)(void *data, u64 flags) = (void *)132;

/* The part of the packet that has not been looked at yet. */
struct cursor {
	void *at;
	void *end;
};

INLINE struct cursor cursor_of(struct xdp_md *ctx)
{
	return (struct cursor){ (void *)(long)ctx->data, (void *)(long)ctx->data_end };
}

/* The next `size` bytes, which the cursor moves behind; NULL where the packet ends first. */
INLINE void *take(struct cursor *cursor, u32 size)
{
	void *header = cursor->at;

	if (header + size > cursor->end)
		return NULL;
	cursor->at = header + size;
	return header;
}

/* The IPv4 header with its options; NULL where it is cut off or nonsensical. */
INLINE struct iphdr *take_ipv4(struct cursor *cursor)
{
	struct iphdr *ip = take(cursor, sizeof(*ip));

	if (!ip || ip->version_ihl >> 4 != 4 || (ip->version_ihl & 15) < 5)
		return NULL;
	return take(cursor, (ip->version_ihl & 15) * 4 - sizeof(*ip)) ? ip : NULL;
}

/* How many bytes the packet has. */
INLINE u32 length_of(struct xdp_md *ctx)
{
	return ctx->data_end - ctx->data;
}
