// SPDX-License-Identifier: Apache-2.0
/** What a host's own endpoints say about a packet that comes in, goes out or passes through by the host's links. */
import type { Address, Cidr } from '../../lib/brand.ts';
import { cidrContains, hostCidr } from '../../lib/cidr.ts';
import {
  type ChainLink,
  profilesVerdict,
  type Question,
  type Stage,
  tiersVerdict,
  type World,
} from './chain.ts';
import { type HostInterface, type Owner, owns } from './owner.ts';
import type { Direction, OraclePacket } from './policy.ts';

export interface OracleHost {
  readonly node: string;
  /** Its own links and their addresses; never workloads' links. */
  readonly interfaces: ReadonlyMap<string, readonly Address[]>;
  readonly settings: HostSettings;
}

/** As FelixConfiguration comes out for this node. */
export interface HostSettings {
  readonly endpointToHost: 'drop' | 'return' | 'accept';
  readonly failsafeInbound: readonly Failsafe[];
  readonly failsafeOutbound: readonly Failsafe[];
  readonly vxlanFromWorkloads: boolean;
  readonly ipipFromWorkloads: boolean;
  readonly vxlanPort: number;
}

export interface Failsafe {
  readonly protocol: number;
  readonly port: number;
  /** The peer must be in it; absent: anywhere. */
  readonly net?: Cidr;
}

export interface HostChain {
  /** Name of the HostEndpoint. */
  readonly endpoint: string;
  readonly stage: Stage;
  readonly direction: Direction;
  /** `allow` lets it past later stages of the same direction, `continue` does not. */
  readonly verdict: 'allow' | 'deny' | 'continue';
  /** Everything that matched or ended, in order; empty when no policy took part. */
  readonly links: readonly ChainLink[];
  /** A failsafe port: no policy was asked. */
  readonly failsafe?: true;
}

/** Where an end of a packet is, seen from a host: on one of its workloads, on itself, or elsewhere. */
export type Place = 'workload' | 'host' | 'beyond';

type Step = readonly [Stage, Direction];

const comingIn: readonly Step[] = [
  ['untracked', 'ingress'],
  ['pre-dnat', 'ingress'],
];

/** What a packet on its way meets, in order. Between a host and its workloads its endpoints have no say. */
const steps: { readonly [From in Place]: { readonly [To in Place]: readonly Step[] } } = {
  beyond: {
    host: [...comingIn, ['normal', 'ingress']],
    workload: [...comingIn, ['forward', 'ingress']],
    beyond: [...comingIn, ['forward', 'ingress'], ['forward', 'egress']],
  },
  workload: { host: [], workload: [], beyond: [['forward', 'egress']] },
  host: {
    host: [],
    workload: [],
    beyond: [
      ['untracked', 'egress'],
      ['normal', 'egress'],
    ],
  },
};

/** In order, up to the first that drops. Stages at links without endpoint are left out. */
export function hostChains(
  world: World,
  host: OracleHost,
  [from, to]: readonly [Place, Place],
  packet: OraclePacket,
): HostChain[] {
  const chains: HostChain[] = [];
  for (const [stage, direction] of steps[from][to]) {
    const isAccepted = chains.some((chain) => chain.direction === direction && chain.verdict === 'allow');
    const endpoint = endpointAt(direction === 'ingress' ? packet.in : packet.out, host, world.owners);
    if (isAccepted || !endpoint) continue;
    const seen = asSeen(packet, stage, direction);
    const chain = chainOf(world, host, { endpoint, stage, direction, packet: seen, links: [] });
    chains.push(chain);
    if (chain.verdict === 'deny') break;
  }
  return chains;
}

/** The first by name of those that name the link or, naming none, expect one of its addresses; else of the `*` ones. */
function endpointAt(
  link: string | undefined,
  host: OracleHost,
  owners: readonly Owner[],
): HostEndpoint | null {
  if (link === undefined) return null;
  const addresses = host.interfaces.get(link) ?? [];
  const its = owners
    .filter(isHostEndpoint)
    .filter((endpoint) => endpoint.host.node === host.node)
    .sort(byName);
  const claims = (endpoint: HostEndpoint) =>
    endpoint.host.ifName === link ||
    (endpoint.host.ifName === '' && addresses.some((address) => owns(endpoint, address)));
  return its.find(claims) ?? its.find((endpoint) => endpoint.host.ifName === '*') ?? null;
}

type HostEndpoint = Owner & { readonly host: HostInterface };

function isHostEndpoint(owner: Owner): owner is HostEndpoint {
  return owner.host !== null;
}

function byName(a: HostEndpoint, b: HostEndpoint): number {
  return a.host.name < b.host.name ? -1 : 1;
}

/** Before connection tracking and before destination NAT a packet still has the destination that it was sent to. */
function asSeen(packet: OraclePacket, stage: Stage, direction: Direction): OraclePacket {
  const { toBeforeNat, dstPortBeforeNat, tracked = true } = packet;
  const isEarly = direction === 'ingress' && (stage === 'untracked' || stage === 'pre-dnat');
  if (!isEarly || !tracked) return packet;
  return {
    ...packet,
    ...(toBeforeNat === undefined ? {} : { to: toBeforeNat }),
    ...(dstPortBeforeNat === undefined ? {} : { dstPort: dstPortBeforeNat }),
  };
}

function chainOf(world: World, { settings }: OracleHost, question: HostQuestion): HostChain {
  const { endpoint, stage, direction, packet, links } = question;
  const about = { endpoint: endpoint.host.name, stage, direction, links };
  const isNormal = stage === 'normal';
  if (stage !== 'forward' && isNeighbourDiscovery(packet)) return { ...about, verdict: 'continue' };
  if (isFailsafe(settings, stage, direction, packet)) {
    return { ...about, verdict: isNormal ? 'allow' : 'continue', failsafe: true };
  }
  const byTiers = tiersVerdict(world.tiers, question);
  const undecided = isNormal && !byTiers ? profilesVerdict(world.profiles, question) : 'continue';
  return { ...about, verdict: byTiers ?? undecided };
}

/** Listener messages, router and neighbour discovery, without which a link does not work: RFC 2710, RFC 4861, RFC 3810. */
const neighbourTypes: readonly number[] = [130, 131, 132, 133, 134, 135, 136, 143];

function isNeighbourDiscovery({ protocol, icmpType = -1 }: OraclePacket): boolean {
  return protocol === 58 && neighbourTypes.includes(icmpType);
}

type HostQuestion = Question & { readonly endpoint: HostEndpoint };

/**
 * Forwarded traffic has none. Before connection tracking a reply cannot be told from a request: its source port is a
 * failsafe port of the other direction.
 */
function isFailsafe(
  { failsafeInbound, failsafeOutbound }: HostSettings,
  stage: Stage,
  direction: Direction,
  { protocol, srcPort, dstPort, from, to }: OraclePacket,
): boolean {
  if (stage === 'forward') return false;
  const [own, others, peer] =
    direction === 'ingress'
      ? [failsafeInbound, failsafeOutbound, from]
      : [failsafeOutbound, failsafeInbound, to];
  const isAmong = (failsafes: readonly Failsafe[], port: number | undefined) =>
    failsafes.some(
      (it) =>
        it.protocol === protocol && it.port === port && (!it.net || cidrContains(it.net, hostCidr(peer))),
    );
  return isAmong(own, dstPort) || (stage === 'untracked' && isAmong(others, srcPort));
}
