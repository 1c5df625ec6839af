// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* PROGRAM_SERVICE: is it sent to a service, and which backend shall have it. */
#pragma once
#include "judged.h"
#include "services.h"

ALWAYS_INLINE __u8 scope_of(const struct packet *packet, const struct route *client)
{
	if (packet->flags & PACKET_TUNNELLED)
		return SCOPE_TUNNEL;
	if (packet->hook != HOOK_FROM_NETWORK)
		return SCOPE_INSIDE;
	return client && (client->flags & (ROUTE_POOL | ROUTE_NODE | ROUTE_WORKLOAD)) ? SCOPE_INSIDE : SCOPE_OUTSIDE;
}

ALWAYS_INLINE void translate_to(struct packet *packet, const struct backend *backend, const struct settings *settings)
{
	packet->now.dst = backend->address;
	packet->now.dst_port = backend->port;
	packet->flow_flags |= FLOW_TRANSLATE_DST;
	if (!same_address(&packet->now.dst, &packet->now.src))
		return;
	/* who reaches itself through its service must not see its own address as the client's: its answers would never leave it */
	if (is_from_network(packet->hook))
		packet->now.src = packet->family == 4 ? settings->own[0] : settings->own[1];
	else /* a node: that is its own address too */
		packet->now.src = packet->arrived.dst;
	packet->flow_flags |= FLOW_TRANSLATE_SRC;
}

/* Whoever does not start here may not be answered from here: the other node keeps the client's address. */
ALWAYS_INLINE void lead_to_node(struct packet *packet, const struct backend *backend, const struct route *at,
				const struct settings *settings, int is_answered_straight)
{
	if (at && (at->flags & ROUTE_WORKLOAD) && !is_zero(&at->via)) {
		packet->via = at->via;
	} else if (at && (at->flags & ROUTE_NODE)) {
		packet->via = backend->address;
	} else { /* outside the cluster: it can only answer us */
		translate_to(packet, backend, settings);
		packet->now.src = packet->family == 4 ? settings->own[0] : settings->own[1];
		packet->flow_flags |= FLOW_TRANSLATE_SRC;
		return;
	}
	packet->way.forward = FORWARD_TUNNEL;
	packet->flow_flags |= FLOW_TO_TUNNEL;
	packet->backend = backend->address;
	packet->backend_port = backend->port;
	if (is_answered_straight)
		packet->flow_flags |= FLOW_DSR;
}

ALWAYS_INLINE int is_dsr(const struct settings *settings, const struct route *client)
{
	return (settings->flags & SETTING_DSR) && !(client && (client->flags & ROUTE_DSR_OPT_OUT));
}

/*
 * Whoever starts here need not go by way of the node that he asks: there his packets would come back to us by the tunnel as if they
 * were another's.
 */
ALWAYS_INLINE int is_asked_as_node(const struct packet *packet, const struct route *at)
{
	if (packet->flags & PACKET_TUNNELLED)
		return 1;
	if (!at || !(at->flags & ROUTE_NODE))
		return 0;
	return packet->hook != HOOK_FROM_NETWORK || (at->flags & ROUTE_LOCAL);
}

SEC("tc")
int service(struct __sk_buff *skb)
{
	struct packet *packet = this_packet();
	struct settings *settings = these_settings();
	struct route *client, *at;
	struct frontend *frontend;
	struct backend backend = {};
	int is_local;
	__u8 scope;

	if (!packet || !settings)
		return TCX_DROP;
	at = route_to(&packet->now.dst);
	client = route_to(&packet->now.src);
	scope = scope_of(packet, client);
	frontend = frontend_of(&packet->now, packet->family, scope, is_asked_as_node(packet, at));
	if (!frontend) {
		if (packet->flags & PACKET_TUNNELLED)
			DROP(skb, packet, REASON_NO_BACKEND);
		goto route;
	}
	packet->service = frontend->name;
	if (!is_welcome(frontend, &packet->now.src))
		DROP(skb, packet, REASON_SOURCE_RANGE);
	if (choose_backend(frontend, &packet->now, &backend)) {
		if (!(frontend->flags & FRONTEND_REJECT))
			DROP(skb, packet, REASON_NO_BACKEND);
		packet->flags |= PACKET_UNREACHED;
		goto route;
	}
	at = route_to(&backend.address);
	is_local = at && (at->flags & ROUTE_LOCAL);
	if (!is_local && (packet->flags & PACKET_TUNNELLED) && choose_local(frontend, &packet->now, &backend))
		DROP(skb, packet, REASON_NO_BACKEND);
	if (packet->hook == HOOK_FROM_NETWORK && !is_local && !(packet->flags & PACKET_TUNNELLED))
		lead_to_node(packet, &backend, at, settings, scope == SCOPE_OUTSIDE && is_dsr(settings, client));
	else
		translate_to(packet, &backend, settings);
	if (packet->flags & PACKET_TUNNELLED && is_dsr(settings, client) && scope == SCOPE_TUNNEL)
		packet->flow_flags |= FLOW_DSR;
route:
	bpf_tail_call(skb, &programs, PROGRAM_ROUTE);
	return refuse(skb, NULL, 0, REASON_NO_POLICY);
}
