/* A limit on the packets of each IPv4 source: a token bucket for each, in an LRU hash.
 *
 * A bucket fills with time itself: its credit is in nanoseconds, a packet costs `interval` of
 * them, and no more than `burst` packets' worth is saved up. So nothing has to be divided, and no
 * timer has to fill buckets. Sources that were quiet for long are the first to be forgotten when
 * the table is full; that does no harm, since their buckets were full.
 */
#include "../include/bpf.h"

const volatile u64 interval = 10000000; /* nanoseconds a packet: 100 packets a second */
const volatile u64 burst = 20;		/* packets */

struct bucket {
	u64 credit;  /* nanoseconds */
	u64 updated; /* when it was that, by the clock */
	u64 passed;  /* packets */
	u64 dropped;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, u8[4]);
	__type(value, struct bucket);
} buckets SEC(".maps");

/* Two CPUs that take packets of one source at the same moment may let one too many pass: a price
 * that is lower than that of a lock.
 */
INLINE int spend(struct bucket *bucket, u64 now)
{
	u64 credit = bucket->credit + (now - bucket->updated);

	if (credit > burst * interval)
		credit = burst * interval;
	bucket->updated = now;
	if (credit < interval) {
		bucket->credit = credit;
		bucket->dropped++;
		return XDP_DROP;
	}
	bucket->credit = credit - interval;
	bucket->passed++;
	return XDP_PASS;
}

SEC("xdp")
int rate_limiter(struct xdp_md *ctx)
{
	struct cursor cursor = cursor_of(ctx);
	struct ethhdr *eth = take(&cursor, sizeof(*eth));

	if (!eth)
		return XDP_ABORTED;
	if (eth->h_proto != htons(ETH_P_IP))
		return XDP_PASS;

	struct iphdr *ip = take(&cursor, sizeof(*ip));

	if (!ip)
		return XDP_ABORTED;

	be32 source = ip->saddr; /* the key has to lie on the stack, say old kernels */
	u64 now = bpf_ktime_get_ns();
	struct bucket *bucket = bpf_map_lookup_elem(&buckets, &source);

	if (bucket)
		return spend(bucket, now);

	struct bucket new = { .credit = (burst - 1) * interval, .updated = now, .passed = 1 };

	bpf_map_update_elem(&buckets, &source, &new, BPF_NOEXIST);
	return XDP_PASS;
}

char _license[] SEC("license") = "Dual MIT/GPL";
