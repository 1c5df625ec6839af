// SPDX-License-Identifier: Apache-2.0
/** What the host's end of a workload's link is set to before it comes up: trust nothing that the workload says. */
import type { IfName } from '../lib/brand.ts';
import { hasSysctl, writeSysctl } from './sysctl.ts';

/** Documentation/networking/ip-sysctl.rst says what each does. */
const ipv4: { readonly [name: string]: number } = {
  rp_filter: 1, //           strict: a source must be routed back over the same link
  route_localnet: 0, //      127/8 of the host is not for workloads
  accept_local: 0,
  accept_redirects: 0, //    CVE-style route injection by ICMP
  send_redirects: 0, //      workloads share no link with each other
  accept_source_route: 0,
  proxy_arp: 0, //           the gateway's address is answered by a permanent neighbour entry instead
  proxy_arp_pvlan: 0,
  forwarding: 1,
};
const ipv6: { readonly [name: string]: number } = {
  accept_ra: 0, //           CVE-2020-10749, CVE-2020-13597: router advertisements from workloads
  autoconf: 0,
  accept_redirects: 0,
  accept_source_route: -1, // no routing header at all
  accept_dad: 0, //          the link-local address is the same on every such link and must be usable at once
  dad_transmits: 0,
  router_solicitations: 0,
  proxy_ndp: 0,
  addr_gen_mode: 1, //       none: its one link-local address is set by hand, whatever the host's default
  forwarding: 1,
};

/**
 * In the calling thread's network namespace.
 *
 * @param instead - settings of IPv4 that a data plane wants otherwise. @returns how many settings it had to change.
 */
export function hardenInterface(
  ifName: IfName,
  instead: { readonly ipv4?: { readonly [name: string]: number } } = {},
): number {
  let changed = 0;
  for (const [family, settings] of Object.entries({ ipv4: { ...ipv4, ...instead.ipv4 }, ipv6 })) {
    if (!hasSysctl(['net', family])) continue; // a kernel without IPv6
    for (const [name, value] of Object.entries(settings)) {
      if (writeSysctl(['net', family, 'conf', ifName, name], value)) changed++;
    }
  }
  return changed;
}

/** Makes the calling thread's network namespace a router. @returns whether it was not one before. */
export function enableForwarding(): boolean {
  const four = writeSysctl(['net', 'ipv4', 'ip_forward'], 1);
  const six = hasSysctl(['net', 'ipv6']) && writeSysctl(['net', 'ipv6', 'conf', 'all', 'forwarding'], 1);
  return four || six;
}
