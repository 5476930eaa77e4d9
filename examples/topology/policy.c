/* A policy of tc before a server: TCP to allowed ports only, and what passes gets a mark. */
#include "bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, u16); /* a port */
	__type(value, u32); /* the mark for it */
} allowed SEC(".maps");

u64 refused;

SEC("tc")
int policy(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct ethhdr *eth = data;
	struct iphdr *ip = data + sizeof(*eth);
	struct tcphdr *tcp = (void *)ip + sizeof(*ip);

	if ((void *)tcp + sizeof(*tcp) > end || eth->h_proto != htons(ETH_P_IP) ||
	    ip->version_ihl != 0x45 || ip->protocol != IPPROTO_TCP) {
		__sync_fetch_and_add(&refused, 1);
		return TC_ACT_SHOT;
	}
	u16 port = ntohs(tcp->dest);
	u32 *mark = bpf_map_lookup_elem(&allowed, &port);

	if (!mark) {
		__sync_fetch_and_add(&refused, 1);
		return TC_ACT_SHOT;
	}
	skb->mark = *mark;
	return TC_ACT_OK;
}

char _license[] SEC("license") = "Dual MIT/GPL";
