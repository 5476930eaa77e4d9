/* A blacklist against floods: packets from listed networks are dropped before they cost anything.
 *
 * The tries `ipv4` and `ipv6` say which rule a source falls under: that of the longest prefix that
 * covers it. Rule 0 lets packets pass, so that a network within a listed one can be spared. What
 * each rule did is counted on each CPU by itself, so that CPUs never wait for one another.
 */
#include "../include/bpf.h"

#define MAX_RULES 1024
#define ALLOW 0

struct ipv4_prefix {
	u32 length; /* bits that count */
	u8 address[4];
};

struct ipv6_prefix {
	u32 length;
	u8 address[16];
};

struct counter {
	u64 packets;
	u64 bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 100000);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct ipv4_prefix);
	__type(value, u32);
} ipv4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 100000);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct ipv6_prefix);
	__type(value, u32);
} ipv6 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, MAX_RULES);
	__type(key, u32);
	__type(value, struct counter);
} counters SEC(".maps");

/* `found` is the rule that a trie gave, NULL where no prefix covers the source. */
INLINE int judge(struct xdp_md *ctx, u32 *found)
{
	u32 rule = found ? *found : ALLOW;
	struct counter *counter = bpf_map_lookup_elem(&counters, &rule);

	if (counter) {
		counter->packets++;
		counter->bytes += length_of(ctx);
	}
	return rule == ALLOW ? XDP_PASS : XDP_DROP;
}

INLINE int judge_ipv4(struct xdp_md *ctx, struct iphdr *ip)
{
	struct ipv4_prefix source = { .length = 32 };

	if (!ip)
		return XDP_ABORTED;
	__builtin_memcpy(source.address, &ip->saddr, sizeof(source.address));
	return judge(ctx, bpf_map_lookup_elem(&ipv4, &source));
}

INLINE int judge_ipv6(struct xdp_md *ctx, struct ipv6hdr *ip)
{
	struct ipv6_prefix source = { .length = 128 };

	if (!ip)
		return XDP_ABORTED;
	__builtin_memcpy(source.address, ip->saddr, sizeof(source.address));
	return judge(ctx, bpf_map_lookup_elem(&ipv6, &source));
}

SEC("xdp")
int blacklist(struct xdp_md *ctx)
{
	struct cursor cursor = cursor_of(ctx);
	struct ethhdr *eth = take(&cursor, sizeof(*eth));

	if (!eth)
		return XDP_ABORTED;

	switch (ntohs(eth->h_proto)) {
	case ETH_P_IP:
		return judge_ipv4(ctx, take(&cursor, sizeof(struct iphdr)));
	case ETH_P_IPV6:
		return judge_ipv6(ctx, take(&cursor, sizeof(struct ipv6hdr)));
	default:
		return XDP_PASS;
	}
}

char _license[] SEC("license") = "Dual MIT/GPL";
