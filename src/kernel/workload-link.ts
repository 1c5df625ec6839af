// SPDX-License-Identifier: Apache-2.0
/**
 * A workload's link to its host: a veth born closed.
 *
 * Invariants: the host's end is hardened and guarded before it is up for the first time. A failure leaves no link and
 *             no pin. Addresses and gateways are as Calico's CNI plug-in sets them, so that images see what they know.
 */
import { familyOf, parseAddress } from '../lib/address.ts';
import type { Address, IfName } from '../lib/brand.ts';
import { parseCidr } from '../lib/cidr.ts';
import { KernelError } from '../lib/errors.ts';
import type { Guard } from './guard.ts';
import { hardenInterface } from './harden.ts';
import type { NetNs } from './netns.ts';
import { Rtnetlink } from './rtnetlink/rtnetlink.ts';
import { ENODEV } from './sys/constants.ts';
import { hasSysctl, writeSysctl } from './sysctl.ts';

/** Of every workload link's host end; the link-local address is its EUI-64 form (RFC 4291 appendix A). */
export const hostMac = 'ee:ee:ee:ee:ee:ee';
export const gateway4: Address = parseAddress('169.254.1.1');
export const gateway6: Address = parseAddress('fe80::ecee:eeff:feee:eeee');

const workloadEnd = 'eth0';
const RTPROT_STATIC = 4;
const RT_SCOPE_LINK = 253;

export interface WorkloadLinkSpec {
  /** Of the host's end. */
  readonly ifName: IfName;
  readonly netns: NetNs;
  /** Each goes on as /32 or /128. */
  readonly addresses: readonly Address[];
  /** Bytes. @defaultValue the kernel's, 1500 */
  readonly mtu?: number;
}

export interface WorkloadLink {
  /** Of the host's end. */
  readonly ifIndex: number;
  /** Of the workload's end. */
  readonly mac: string;
}

/**
 * The calling thread must be in the host's network namespace, to which `host` belongs.
 *
 * @throws {KernelError} EEXIST when either end's name is taken.
 */
export function createWorkloadLink(host: Rtnetlink, guard: Guard, spec: WorkloadLinkSpec): WorkloadLink {
  const mtu = spec.mtu === undefined ? {} : { mtu: spec.mtu };
  const link = host.links.createVeth(
    { name: spec.ifName, mac: hostMac, ...mtu },
    { name: workloadEnd, netns: spec.netns, ...mtu },
  );
  try {
    hardenInterface(spec.ifName);
    guard.close(spec.ifName, link.index);
    if (hasIpv6()) {
      host.addresses.replace({
        index: link.index,
        address: gateway6,
        prefixLength: 64,
        scope: RT_SCOPE_LINK,
        noDad: true,
      });
    }
    host.links.set(link.index, { up: true });
    const mac = spec.netns.run(() => dressWorkloadEnd(spec.addresses));
    // Known, not asked for: while the guard is closed a question would go unanswered, and be repeated a second later.
    for (const address of spec.addresses)
      host.neighbours.replacePermanent({ index: link.index, address, mac });
    return { ifIndex: link.index, mac };
  } catch (error) {
    deleteWorkloadLink(host, guard, spec.ifName);
    throw error;
  }
}

/** Both ends and the guard's pins. @returns false when there was no such link. */
export function deleteWorkloadLink(host: Rtnetlink, guard: Guard, ifName: IfName): boolean {
  const link = host.links.get(ifName);
  const existed = link !== null && host.links.delete(link.index);
  guard.remove(ifName);
  return existed;
}

/** From the workload's side: both ends are gone at once, whoever still holds the namespace. The pins are the agent's. */
export function cutWorkloadLink(netns: NetNs): void {
  using inside = netns.run(() => Rtnetlink.open());
  const link = inside.links.get(workloadEnd);
  if (link) inside.links.delete(link.index);
}

/** Inside the workload's namespace. @returns its MAC. */
function dressWorkloadEnd(addresses: readonly Address[]): string {
  using rt = Rtnetlink.open();
  const link = rt.links.get(workloadEnd);
  if (!link?.mac) throw new KernelError(`set up ${workloadEnd}`, ENODEV, 'it was gone at once');
  const lo = rt.links.get('lo');
  if (lo) rt.links.set(lo.index, { up: true });
  const families = new Set(addresses.map(familyOf));
  if (hasIpv6()) quietIpv6(families.has(6));
  for (const address of addresses) rt.addresses.replace({ index: link.index, address, noDad: true });
  rt.links.set(link.index, { up: true });
  if (families.has(4)) routeVia(rt, link.index, gateway4);
  if (families.has(6)) routeVia(rt, link.index, gateway6);
  return link.mac;
}

function routeVia(rt: Rtnetlink, index: number, gateway: Address): void {
  rt.neighbours.replacePermanent({ index, address: gateway, mac: hostMac });
  const dst = parseCidr(familyOf(gateway) === 4 ? '0.0.0.0/0' : '::/0');
  const route = { dst, protocol: RTPROT_STATIC, oif: index, gateway, onlink: true };
  const [failure] = rt.routes.replace([route]);
  if (failure) throw failure.error;
}

/** The only router is known: none is asked for or listened to. Addresses are unique by IPAM: none is probed. */
function quietIpv6(wanted: boolean): void {
  const conf = ['net', 'ipv6', 'conf', workloadEnd];
  if (wanted) writeSysctl([...conf, 'disable_ipv6'], 0); // some runtimes switch it off in new namespaces
  for (const name of ['accept_ra', 'accept_dad', 'dad_transmits', 'router_solicitations'])
    writeSysctl([...conf, name], 0);
}

function hasIpv6(): boolean {
  return hasSysctl(['net', 'ipv6']);
}
