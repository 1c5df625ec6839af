// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * The programs at the links, and those that they hand a packet to.
 *
 *     from_workload, from_network, to_workload, to_network      known flow: follow it, one lookup, done
 *         '-> (untracked policy) -> track -> service -> route -> policy, policy, ... -> admit
 *                                                                       '-> drop
 *
 * A packet of no known flow goes through all of them once. `programs` holds the C programs at fixed places and, behind, the
 * policies that src/drivers/ebpf/compile.ts writes: `route` puts the ones this packet must meet into packet.stages, each ends
 * by calling the next, and `admit` is always last. An empty place in `programs` ends in a drop.
 *
 * Next: hooks.h (the programs at the links), flows.h (known flows), then the others in the order of the drawing: program_service.h,
 *       program_route.h, program_admit.h.
 */
#include "hooks.h"
#include "program_admit.h"
#include "program_error.h"
#include "program_resolve.h"
#include "program_route.h"
#include "program_say.h"
#include "program_service.h"
#include "program_tunnel.h"

char LICENSE[] SEC("license") = "GPL";
