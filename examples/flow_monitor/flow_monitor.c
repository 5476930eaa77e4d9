/* A monitor of flows: who talks to whom, how much, how long. It lets every packet pass.
 *
 * A flow is what goes from one address and port to another. One of TCP begins with a SYN and ends
 * with a FIN or RST; one of UDP begins with its first packet, and nobody knows when it ends. The
 * table has the flows that are open; a flow that opens or closes is told at once through the ring
 * buffer, so that nobody has to go through the table to find out.
 */
#include "../include/bpf.h"

#define TCP_FIN 1
#define TCP_SYN 2
#define TCP_RST 4

/* Addresses are bytes as on the wire; IPv4 ones are mapped into IPv6 (RFC 4291, 2.5.5.2). */
struct flow_key {
	u8 source[16];
	u8 destination[16];
	u16 source_port; /* of this machine's order, unlike those in packets */
	u16 destination_port;
	u32 protocol; /* as wide as it takes to leave no padding, which would be part of the key */
};

struct flow {
	u64 packets;
	u64 bytes;
	u64 first; /* nanoseconds of the clock */
	u64 last;
};

enum event_kind {
	FLOW_NEW,
	FLOW_CLOSED,
};

struct event {
	enum event_kind kind;
	u32 padding;
	struct flow_key key;
	struct flow flow;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, struct flow_key);
	__type(value, struct flow);
} flows SEC(".maps");

/* The type is for readers: drybpf shows events by it, as cilium/ebpf does. A ring buffer itself has
 * no values, so for a loader that takes this line for a size, leave it out.
 */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
	__type(value, struct event);
} events SEC(".maps");

u64 strays; /* packets of TCP that belong to no open flow */
u64 missed; /* flows that found the table full, events that found the ring full */

INLINE void tell(enum event_kind kind, struct flow_key *key, struct flow *flow)
{
	struct event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);

	if (!event) {
		missed++;
		return;
	}
	event->kind = kind;
	event->padding = 0;
	event->key = *key;
	event->flow = *flow;
	bpf_ringbuf_submit(event, 0);
}

/* Count a packet; `flags` are those of TCP, a SYN for what has none. */
INLINE void count(struct flow_key *key, u8 flags, u32 length)
{
	u64 now = bpf_ktime_get_ns();
	struct flow *flow = bpf_map_lookup_elem(&flows, key);

	if (flow) {
		flow->packets++;
		flow->bytes += length;
		flow->last = now;
	} else if (flags & TCP_SYN) {
		struct flow new = { .packets = 1, .bytes = length, .first = now, .last = now };

		if (bpf_map_update_elem(&flows, key, &new, BPF_NOEXIST))
			missed++;
		else
			tell(FLOW_NEW, key, &new);
	} else {
		strays++;
	}
	if (flow && flags & (TCP_FIN | TCP_RST)) {
		tell(FLOW_CLOSED, key, flow);
		bpf_map_delete_elem(&flows, key);
	}
}

/* Fill in the addresses and the protocol from the IP header; 0 where that is cut off, or not IP. */
INLINE int read_addresses(struct cursor *cursor, be16 kind, struct flow_key *key)
{
	if (kind == htons(ETH_P_IP)) {
		struct iphdr *ip = take_ipv4(cursor);

		if (!ip || ip->frag_off & htons(IP_OFFSET))
			return 0;
		key->source[10] = key->source[11] = 0xff;
		key->destination[10] = key->destination[11] = 0xff;
		__builtin_memcpy(key->source + 12, &ip->saddr, 4);
		__builtin_memcpy(key->destination + 12, &ip->daddr, 4);
		key->protocol = ip->protocol;
		return 1;
	}
	if (kind == htons(ETH_P_IPV6)) {
		struct ipv6hdr *ip = take(cursor, sizeof(*ip));

		if (!ip)
			return 0;
		__builtin_memcpy(key->source, ip->saddr, 16);
		__builtin_memcpy(key->destination, ip->daddr, 16);
		key->protocol = ip->nexthdr;
		return 1;
	}
	return 0;
}

SEC("xdp")
int flow_monitor(struct xdp_md *ctx)
{
	struct cursor cursor = cursor_of(ctx);
	struct ethhdr *eth = take(&cursor, sizeof(*eth));
	struct flow_key key = {};
	u8 flags = TCP_SYN;

	if (!eth || !read_addresses(&cursor, eth->h_proto, &key))
		return XDP_PASS;

	if (key.protocol == IPPROTO_TCP) {
		struct tcphdr *tcp = take(&cursor, sizeof(*tcp));

		if (!tcp)
			return XDP_PASS;
		flags = tcp->flags;
		key.source_port = ntohs(tcp->source);
		key.destination_port = ntohs(tcp->dest);
	} else if (key.protocol == IPPROTO_UDP) {
		struct udphdr *udp = take(&cursor, sizeof(*udp));

		if (!udp)
			return XDP_PASS;
		key.source_port = ntohs(udp->source);
		key.destination_port = ntohs(udp->dest);
	} else {
		return XDP_PASS;
	}
	count(&key, flags, length_of(ctx));
	return XDP_PASS;
}

char _license[] SEC("license") = "Dual MIT/GPL";
