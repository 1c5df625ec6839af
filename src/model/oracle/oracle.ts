// SPDX-License-Identifier: Apache-2.0
/**
 * The policy oracle: what becomes of a packet, said slowly and obviously. The one source of the semantics.
 *
 * Owns:       the order of tiers, policies, rules and profiles, what each end of a list means, and which endpoints have a
 *             say about a packet.
 * Takes in:   every resource of the cluster as users write them, valid, defaults filled in or not; the first packet of a
 *             flow by its addresses; the host on which it is looked at, or none: then both ends are asked wherever they are,
 *             and no host is between them.
 * Gives out:  allowed or not, and for each end that is a pod, and each host endpoint on the way, the chain of tier, policy,
 *             rule that led to it; and whether it would be allowed with every staged policy in force.
 * Invariants: it shares nothing with the calculation graph and the evaluators but addresses and the selector's grammar,
 *             so that it is a second opinion: test/conformance holds them and every data plane to it.
 *             No index, no cleverness: scans over all there is. An address is at most one pod's, or a host's.
 *             Replies, forged sources and link-local traffic are not its matter.
 * Next:       owner.ts (who an address is), chain.ts (one endpoint's say), host.ts (the stages at a host's links),
 *             calico-policy.ts and calico-rule.ts, kubernetes-policy.ts, cluster-policy.ts, staged.ts.
 */
import type { Resource } from '../types.ts';
import { calicoPolicy } from './calico-policy.ts';
import { type ChainLink, profilesVerdict, type Question, tiersVerdict, type World } from './chain.ts';
import { clusterPolicy } from './cluster-policy.ts';
import { type Directory, directoryOf } from './directory.ts';
import { type HostChain, type HostSettings, hostChains, type OracleHost, type Place } from './host.ts';
import { kubernetesPolicy } from './kubernetes-policy.ts';
import { type Owner, owns } from './owner.ts';
import type { Direction, OraclePacket, Policy } from './policy.ts';
import { profilesOf } from './profile.ts';
import { pendingResources } from './staged.ts';
import { tiersOf } from './tier.ts';

export interface Judgement {
  readonly allowed: boolean;
  /** Of the pod that sends; null when no pod does, when it sends to itself, or when a gate came first. */
  readonly egress: Chain | null;
  /** Of the pod that receives; likewise. */
  readonly ingress: Chain | null;
  /** Of the host's own endpoints, in order, up to one that drops; empty without a host. */
  readonly host: readonly HostChain[];
  /** What decided in the place of policy, or after it. */
  readonly gate: Gate | null;
  /** With every staged policy put in force. */
  readonly pending: { readonly allowed: boolean };
}

/**
 * `encapsulated`: workloads may not send it, whatever policy says. `icmpv6-to-host`: the link depends on it.
 * `endpoint-to-host`: policy allowed it, the node's setting does not. `host-to-workload`: never policed.
 */
export type Gate = 'encapsulated' | 'icmpv6-to-host' | 'endpoint-to-host' | 'host-to-workload';

export interface Chain {
  /** `namespace/pod`. */
  readonly pod: string;
  readonly verdict: 'allow' | 'deny';
  /** Everything that matched or ended, in order; the last one decided. */
  readonly links: readonly ChainLink[];
}

type Opinion = Omit<Judgement, 'pending'>;

/** @throws {UnsupportedError} {SelectorError} {InvalidError} when a resource is not valid, or a rule is about HTTP. */
export function judge(resources: readonly Resource[], packet: OraclePacket, host?: OracleHost): Judgement {
  return oracleOf(resources, host)(packet);
}

/** The same for many packets: resources are read once. */
export function oracleOf(
  resources: readonly Resource[],
  host?: OracleHost,
): (packet: OraclePacket) => Judgement {
  const opinion = opinionIn(worldOf(resources), host);
  let pending: typeof opinion | undefined; // read when it is first asked for: few callers do
  return (packet) => ({
    ...opinion(packet),
    get pending() {
      pending ??= opinionIn(worldOf(pendingResources(resources)), host);
      return { allowed: pending(packet).allowed };
    },
  });
}

function worldOf(resources: readonly Resource[]): World {
  const directory = directoryOf(resources);
  const policies = resources.flatMap((resource) => policyOf(resource, directory) ?? []);
  return {
    owners: directory.owners,
    tiers: tiersOf(resources, policies),
    profiles: profilesOf(resources, directory),
  };
}

/** Staged ones are none. */
function policyOf(resource: Resource, directory: Directory): Policy | null {
  switch (resource.kind) {
    case 'NetworkPolicy':
      return resource.apiVersion.startsWith('networking.k8s.io/')
        ? kubernetesPolicy(resource, directory)
        : calicoPolicy(resource, resource.kind, directory);
    case 'GlobalNetworkPolicy':
      return calicoPolicy(resource, resource.kind, directory);
    case 'ClusterNetworkPolicy':
      return clusterPolicy(resource, directory);
    default:
      return null;
  }
}

function opinionIn(world: World, host: OracleHost | undefined): (packet: OraclePacket) => Opinion {
  return (packet) => {
    const ends = endsOf(world, packet, host);
    if (ends.from && ends.from === ends.to) return withoutSay;
    return host ? atHost(world, host, ends, packet) : betweenPods(world, ends, packet);
  };
}

/** Who sends and who receives, where that is a pod; at a host, one of its own. */
interface Ends {
  readonly from: Owner | null;
  readonly to: Owner | null;
}

function endsOf(world: World, { from, to }: OraclePacket, host: OracleHost | undefined): Ends {
  const pods = world.owners.filter(({ pod }) => pod && (!host || pod.node === host.node));
  const podAt = (address: OraclePacket['from']) => pods.find((owner) => owns(owner, address)) ?? null;
  return { from: podAt(from), to: podAt(to) };
}

const withoutSay: Opinion = { allowed: true, egress: null, ingress: null, host: [], gate: null };

/** Each says its word, whatever the other does. */
function betweenPods(world: World, { from, to }: Ends, packet: OraclePacket): Opinion {
  const egress = from && chainOf(world, from, 'egress', packet);
  const ingress = to && chainOf(world, to, 'ingress', packet);
  const allowed = egress?.verdict !== 'deny' && ingress?.verdict !== 'deny';
  return { ...withoutSay, allowed, egress, ingress };
}

function atHost(world: World, host: OracleHost, ends: Ends, packet: OraclePacket): Opinion {
  const places = placesOf(host, ends, packet);
  const gate = gateBeforePolicy(host.settings, places, packet);
  if (gate) return { ...withoutSay, allowed: gate !== 'encapsulated', gate };
  const pods = betweenPods(world, ends, packet);
  const chains = hostChains(world, host, places, packet);
  const allowed = pods.allowed && chains.every((chain) => chain.verdict !== 'deny');
  const [from, to] = places;
  const isClosed = from === 'workload' && to === 'host' && host.settings.endpointToHost === 'drop';
  if (allowed && isClosed) return { ...pods, allowed: false, host: chains, gate: 'endpoint-to-host' };
  return { ...pods, allowed, host: chains };
}

function placesOf(host: OracleHost, ends: Ends, packet: OraclePacket): readonly [Place, Place] {
  const own = [...host.interfaces.values()].flat();
  const placeOf = (end: 'from' | 'to'): Place => {
    if (ends[end]) return 'workload';
    return own.includes(packet[end]) ? 'host' : 'beyond';
  };
  return [placeOf('from'), placeOf('to')];
}

/** Multicast listener reports, router and neighbour discovery: RFC 2710, RFC 4861, RFC 3810. */
const icmpv6ToHost: readonly number[] = [130, 131, 132, 133, 135, 136, 143];

function gateBeforePolicy(
  settings: HostSettings,
  [from, to]: readonly [Place, Place],
  packet: OraclePacket,
): Gate | null {
  if (from === 'host' && to === 'workload') return 'host-to-workload';
  if (from !== 'workload') return null;
  if (isEncapsulated(settings, packet)) return 'encapsulated';
  const { protocol, icmpType = -1 } = packet;
  return to === 'host' && protocol === 58 && icmpv6ToHost.includes(icmpType) ? 'icmpv6-to-host' : null;
}

/** What only the fabric may send: VXLAN by UDP, and IP in IP (protocol 4). */
function isEncapsulated(settings: HostSettings, { protocol, dstPort }: OraclePacket): boolean {
  const { vxlanFromWorkloads, ipipFromWorkloads, vxlanPort } = settings;
  if (protocol === 4) return !ipipFromWorkloads;
  return protocol === 17 && dstPort === vxlanPort && !vxlanFromWorkloads;
}

function chainOf(world: World, endpoint: Owner, direction: Direction, packet: OraclePacket): Chain {
  const { pod } = endpoint;
  if (!pod) throw new TypeError(`${endpoint.name} is no pod`);
  const links: ChainLink[] = [];
  const question: Question = { endpoint, stage: 'normal', direction, packet, links };
  const verdict = tiersVerdict(world.tiers, question) ?? profilesVerdict(world.profiles, question);
  return { pod: `${pod.namespace}/${pod.name}`, verdict, links };
}
