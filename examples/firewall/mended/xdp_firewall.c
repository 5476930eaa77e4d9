/* The firewall of the folder above, mended: it does not answer what may be an answer itself. Two of
 * the old ones, or one and an echo server, sent a packet from port 7 to port 7 to and fro for ever.
 *
 *   cut off inside a header, or a nonsensical header     XDP_ABORTED
 *   ARP, ICMP, ICMPv6                                    XDP_PASS
 *   fragments, of IPv4 and of IPv6                       XDP_DROP
 *   TCP to port 23 (telnet) or 445 (SMB)                 XDP_DROP
 *   DNS, in both directions                              XDP_PASS
 *   UDP to 127.66.0.0/16                                 XDP_DROP
 *   UDP from port 7 to port 7                            XDP_DROP
 *   UDP to port 7 (echo)                                 XDP_TX, answered right here
 *   other TCP and UDP                                    XDP_PASS
 *   everything else                                      XDP_DROP
 *
 * The first rule that fits counts. The object beside this file was made by tools/build_fixtures.py;
 * any clang makes one:
 *
 *   clang --target=bpfel -O2 -g -c xdp_firewall.c -o xdp_firewall.o
 */
#include "../../include/xdp.h"

#define BLOCKED_NET 0x7f420000 /* 127.66.0.0: in 127/8, so that one can record such packets */
#define BLOCKED_MASK 0xffff0000

#define IPPROTO_FRAGMENT 44 /* the IPv6 extension header */

enum port {
	PORT_ECHO = 7,
	PORT_TELNET = 23,
	PORT_DNS = 53,
	PORT_SMB = 445,
};

/* Sends a packet back where it came from. Sums do not mind the order of what they add up, so all
 * checksums stay right.
 */
INLINE void swap_macs(struct ethhdr *eth)
{
	for (int i = 0; i < 6; i++) {
		u8 byte = eth->h_dest[i];

		eth->h_dest[i] = eth->h_source[i];
		eth->h_source[i] = byte;
	}
}

INLINE void swap_ports(struct udphdr *udp)
{
	be16 port = udp->dest;

	udp->dest = udp->source;
	udp->source = port;
}

INLINE void swap_ipv4(struct iphdr *ip)
{
	be32 address = ip->daddr;

	ip->daddr = ip->saddr;
	ip->saddr = address;
}

INLINE void swap_ipv6(struct ipv6hdr *ip)
{
	for (int i = 0; i < 4; i++) {
		be32 word = ip->daddr[i];

		ip->daddr[i] = ip->saddr[i];
		ip->saddr[i] = word;
	}
}

INLINE int filter_tcp(struct tcphdr *tcp, void *data_end)
{
	if ((void *)(tcp + 1) > data_end)
		return XDP_ABORTED;

	switch (ntohs(tcp->dest)) {
	case PORT_TELNET:
	case PORT_SMB:
		return XDP_DROP;
	default:
		return XDP_PASS;
	}
}

/* `blocked`: the packet goes to the blocked prefix. */
INLINE int filter_udp(struct udphdr *udp, void *data_end, int blocked)
{
	if ((void *)(udp + 1) > data_end)
		return XDP_ABORTED;
	if (udp->dest == htons(PORT_DNS) || udp->source == htons(PORT_DNS))
		return XDP_PASS;
	if (blocked)
		return XDP_DROP;
	if (udp->dest == htons(PORT_ECHO)) {
		if (udp->source == htons(PORT_ECHO))
			return XDP_DROP;
		swap_ports(udp);
		return XDP_TX;
	}
	return XDP_PASS;
}

INLINE int filter_ipv4(struct ethhdr *eth, struct iphdr *ip, void *data_end)
{
	if ((void *)(ip + 1) > data_end)
		return XDP_ABORTED;

	u32 length = (ip->version_ihl & 15) * 4;
	void *next = (void *)ip + length;

	if (ip->version_ihl >> 4 != 4 || length < sizeof(*ip) || next > data_end)
		return XDP_ABORTED;
	if (ip->frag_off & htons(IP_MORE_FRAGMENTS | IP_OFFSET))
		return XDP_DROP;

	switch (ip->protocol) {
	case IPPROTO_ICMP:
		return XDP_PASS;
	case IPPROTO_TCP:
		return filter_tcp(next, data_end);
	case IPPROTO_UDP: {
		int blocked = (ip->daddr & htonl(BLOCKED_MASK)) == htonl(BLOCKED_NET);
		int action = filter_udp(next, data_end, blocked);

		if (action == XDP_TX) {
			swap_ipv4(ip);
			swap_macs(eth);
		}
		return action;
	}
	default:
		return XDP_DROP;
	}
}

INLINE int filter_ipv6(struct ethhdr *eth, struct ipv6hdr *ip, void *data_end)
{
	void *next = ip + 1;

	if (next > data_end || (ip->flow & htonl(0xf0000000)) != htonl(0x60000000))
		return XDP_ABORTED;

	switch (ip->nexthdr) {
	case IPPROTO_ICMPV6:
		return XDP_PASS;
	case IPPROTO_TCP:
		return filter_tcp(next, data_end);
	case IPPROTO_UDP: {
		int action = filter_udp(next, data_end, 0);

		if (action == XDP_TX) {
			swap_ipv6(ip);
			swap_macs(eth);
		}
		return action;
	}
	case IPPROTO_FRAGMENT:
	default:
		return XDP_DROP;
	}
}

SEC("xdp")
int xdp_firewall(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *data_end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;

	if ((void *)(eth + 1) > data_end)
		return XDP_ABORTED;

	switch (ntohs(eth->h_proto)) {
	case ETH_P_ARP:
		return XDP_PASS;
	case ETH_P_IP:
		return filter_ipv4(eth, (void *)(eth + 1), data_end);
	case ETH_P_IPV6:
		return filter_ipv6(eth, (void *)(eth + 1), data_end);
	default:
		return XDP_DROP;
	}
}

char _license[] SEC("license") = "Dual MIT/GPL";
