/* A load balancer at the link layer: packets for the service's address go to one of the servers.
 *
 * The server is chosen by the client's address and port, so that a connection stays with its
 * server; only the frame's addresses change, and the servers answer the client directly.
 */
#include "bpf.h"

struct server {
	u32 ifindex; /* where it is */
	u8 own[6]; /* the balancer's address there */
	u8 mac[6];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 8);
	__type(key, u32);
	__type(value, struct server);
} servers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 8);
	__type(key, u32);
	__type(value, u64);
} packets SEC(".maps");

volatile const u32 service; /* the address, in network order */
volatile const u32 server_count = 1;

INLINE u32 spread(u32 value)
{
	value ^= value >> 16;
	value *= 0x7feb352d;
	value ^= value >> 15;
	value *= 0x846ca68b;
	return value ^ value >> 16;
}

SEC("xdp")
int balance(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct iphdr *ip = data + sizeof(*eth);
	struct tcphdr *tcp = (void *)ip + sizeof(*ip);

	if ((void *)tcp + sizeof(*tcp) > end || eth->h_proto != htons(ETH_P_IP))
		return XDP_PASS;
	if (ip->version_ihl != 0x45 || ip->protocol != IPPROTO_TCP || ip->daddr != service)
		return XDP_PASS;

	u32 chosen = spread(ip->saddr ^ tcp->source) % server_count;
	struct server *server = bpf_map_lookup_elem(&servers, &chosen);
	u64 *count = bpf_map_lookup_elem(&packets, &chosen);

	if (!server || !count || !server->ifindex)
		return XDP_DROP;
	__sync_fetch_and_add(count, 1);
	for (int i = 0; i < 6; i++) {
		eth->h_dest[i] = server->mac[i];
		eth->h_source[i] = server->own[i];
	}
	return bpf_redirect(server->ifindex, 0);
}

char _license[] SEC("license") = "Dual MIT/GPL";
