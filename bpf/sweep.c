// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * Takes flows away that nobody needs: run by the agent every few seconds, and at once when a service lost a backend. It looks
 * at each entry in the kernel, at the moment in which it deletes it, so that no entry goes that was used since somebody looked.
 */
#include "parse.h"

char LICENSE[] SEC("license") = "GPL";

struct swept {
	__u64 flows;   /* entries looked at */
	__u64 expired;
	__u64 orphans; /* directions whose other is missing */
	__u64 dead;    /* UDP flows to a backend that is no more */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct swept);
} swept SEC(".maps");

struct pass {
	struct swept count;
	__u64 now;
};

#define ORPHAN_AGE 5000000000ULL

ALWAYS_INLINE enum timeout tcp_timeout(const struct flow *flow, __u32 mine, __u32 others)
{
	if ((mine | others) & TCP_RST)
		return TIMEOUT_TCP_RESET_SEEN;
	if ((mine & TCP_FIN) || (others & TCP_FIN))
		return TIMEOUT_TCP_FINS_SEEN;
	if ((mine & TCP_ACK) && ((others & TCP_ACK) || (flow->flags & FLOW_DSR)))
		return TIMEOUT_TCP_ESTABLISHED;
	if ((others & TCP_ACK) && (flow->flags & FLOW_DSR))
		return TIMEOUT_TCP_ESTABLISHED;
	return TIMEOUT_TCP_SYN_SENT;
}

ALWAYS_INLINE enum timeout timeout_of(const struct tuple *key, const struct flow *flow, const struct flow *other)
{
	switch (key->protocol) {
	case IPPROTO_TCP:
		return tcp_timeout(flow, flow->tcp_seen, other->tcp_seen);
	case IPPROTO_UDP:
		return TIMEOUT_UDP;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return TIMEOUT_ICMP;
	}
	return TIMEOUT_GENERIC;
}

ALWAYS_INLINE int is_dead(const struct tuple *key, const struct flow *flow)
{
	struct member_key member = {.list = 0, .port = flow->to.dst_port, .protocol = key->protocol, .address = flow->to.dst};

	if (key->protocol != IPPROTO_UDP || !flow->service || (flow->flags & FLOW_REPLY))
		return 0;
	if (flow->flags & FLOW_TO_TUNNEL) {
		member.address = flow->backend;
		member.port = flow->backend_port;
	} else if (!(flow->flags & FLOW_TRANSLATE_DST)) {
		return 0;
	}
	return bpf_map_lookup_elem(&members, &member) == NULL;
}

struct bpf_map;

static long look(struct bpf_map *map, struct tuple *key, struct flow *flow, struct pass *pass)
{
	struct settings *settings = these_settings();
	struct tuple other_key, own_key = *key;
	struct flow *other;
	__u64 seen, limit;
	__u32 at;

	if (!settings)
		return 1;
	pass->count.flows++;
	turn_round(&other_key, &flow->to);
	other = bpf_map_lookup_elem(map, &other_key);
	if (!other) {
		if (pass->now - flow->created > ORPHAN_AGE) {
			pass->count.orphans++;
			bpf_map_delete_elem(map, &own_key);
		}
		return 0;
	}
	if (is_dead(key, flow)) {
		pass->count.dead++;
		goto forget;
	}
	seen = flow->seen > other->seen ? flow->seen : other->seen;
	at = timeout_of(key, flow, other);
	limit = settings->timeouts[at & 7];
	if (pass->now <= seen || pass->now - seen <= limit)
		return 0;
	pass->count.expired++;
forget:
	bpf_map_delete_elem(map, &other_key);
	bpf_map_delete_elem(map, &own_key);
	return 0;
}

SEC("tc")
int sweep(struct __sk_buff *skb __attribute__((unused)))
{
	struct pass pass = {.now = bpf_ktime_get_coarse_ns()};
	__u32 zero = 0;

	bpf_for_each_map_elem(&flows, look, &pass, 0);
	bpf_map_update_elem(&swept, &zero, &pass.count, BPF_ANY);
	return 0;
}
