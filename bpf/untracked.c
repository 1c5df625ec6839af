// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * Untracked policy at the earliest place there is: XDP, before the kernel makes a packet of the frame (doNotTrack, "extreme
 * high-connection workloads"). It only ever drops: what it lets pass meets the same policy at from_network again, where what
 * follows from it is known.
 *
 * Next: src/drivers/ebpf/compile.ts writes the policies in `untracked` too, for this hook.
 */
#define FRAME_IS_XDP
#include "parse.h"

char LICENSE[] SEC("license") = "GPL";

/* As `programs`, of the other type; places 0 and 1 are this file's. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 4096);
	__uint(key_size, 4);
	__uint(value_size, 4);
} untracked SEC(".maps");

/* By link: the untracked ingress program, by family. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(key_size, 4);
	__uint(value_size, 8);
} untracked_by_link SEC(".maps");

#define UNTRACKED_DENIED 1
#define UNTRACKED_PASSED 2

SEC("xdp")
int xdp_untracked(struct xdp_md *xdp)
{
	__u32 ifindex = xdp->ingress_ifindex, *by_family;
	struct packet *packet = this_packet();
	struct parsed p;

	by_family = bpf_map_lookup_elem(&untracked_by_link, &ifindex);
	if (!by_family || !packet)
		return XDP_PASS;
	if (parse_slowly(xdp, &p) != PARSED || is_neighbour_discovery(&p))
		return XDP_PASS; /* from_network says what becomes of it */
	__builtin_memset(packet, 0, sizeof(*packet));
	packet->now = packet->arrived = p.tuple;
	packet->family = p.family;
	packet->icmp_type = p.icmp_type;
	packet->icmp_code = p.icmp_code;
	packet->hook = HOOK_FROM_NETWORK;
	packet->ifindex = ifindex;
	packet->length = p.length;
	packet->stages[0] = p.family == 4 ? by_family[0] : by_family[1];
	packet->stages[1] = UNTRACKED_PASSED;
	bpf_tail_call(xdp, &untracked, packet->stages[0]);
	return XDP_PASS; /* no policy for this family here: from_network has it, or says so */
}

SEC("xdp")
int xdp_passed(struct xdp_md *xdp __attribute__((unused)))
{
	return XDP_PASS;
}

SEC("xdp")
int xdp_denied(struct xdp_md *xdp __attribute__((unused)))
{
	struct packet *packet = this_packet();
	__u32 reason = REASON_POLICY;
	__u64 *count = bpf_map_lookup_elem(&drops, &reason);
	int i;

	if (count)
		*count += 1;
	for (i = 0; packet && i < MAX_STAGES; i++) {
		__u64 one = 1, *hits;

		if (!packet->rules[i])
			continue;
		hits = bpf_map_lookup_elem(&rule_hits, &packet->rules[i]);
		if (hits)
			*hits += 1;
		else
			bpf_map_update_elem(&rule_hits, &packet->rules[i], &one, BPF_NOEXIST);
	}
	return XDP_DROP;
}
