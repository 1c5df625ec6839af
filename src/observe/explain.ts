// SPDX-License-Identifier: Apache-2.0
/**
 * Why one end reaches another, or does not: egress of the source, then ingress of the destination, and what the nodes'
 * own endpoints say where the packet leaves the one node and comes into the other.
 *
 * Each end is an endpoint or a node, judged by the messages of its own node, or an outside address, which nobody judges.
 */
import type { Direction, IpFamily, ResolvedTier } from '../contract/dataplane.ts';
import { familyOf } from '../lib/address.ts';
import type { Address, KeyPath } from '../lib/brand.ts';
import { assertNever, InvalidError, NotFoundError } from '../lib/errors.ts';
import { addressOfFamily, type DataplaneState } from './dataplane-state.ts';
import type { Verdict } from './evaluate.ts';
import { type CrossingEnd, evaluateAtNode, type NodeGate, type StageVerdict } from './evaluate-host.ts';
import type { Packet } from './packet-match.ts';
import { asEnforced, isStaged, type TierView, withStaged } from './tier-view.ts';

export type Party =
  | {
      readonly kind: 'endpoint';
      readonly state: DataplaneState;
      readonly id: KeyPath;
      /** The one that was asked for; absent: any of the endpoint's. */
      readonly address?: Address;
      /** Absent: on no node in particular, so that no host endpoint is on the way. */
      readonly node?: NodeView;
    }
  | { readonly kind: 'host'; readonly node: NodeView; readonly address?: Address }
  | { readonly kind: 'address'; readonly address: Address };

/** A node, and the way from it to all others. */
export interface NodeView {
  readonly name: string;
  readonly state: DataplaneState;
  readonly addresses: readonly Address[];
  /** The host endpoint at the link that leads to other nodes and beyond; null: none has a say there. */
  readonly uplink: KeyPath | null;
}

/** What is sent; the addresses follow from the parties. */
export type Probe = Omit<Packet, 'ipVersion' | 'src' | 'dst'> & {
  /** @defaultValue the family of an outside address, else 4 where both ends have it, else 6. */
  readonly ipVersion?: IpFamily;
};

export interface Opinion {
  readonly allowed: boolean;
  /** What the source's policy says; null when the source is outside or a node, or both ends are one. */
  readonly egress: EndVerdict | null;
  /** The same of the destination; also when egress denied, for then it is the next to be asked. */
  readonly ingress: EndVerdict | null;
  /** Of the nodes' own endpoints: out of the source's node, then into the destination's. */
  readonly host: readonly NodeStage[];
  /** What a node decided in the place of policy, or after it. */
  readonly gate: (NodeGate & { readonly node: string }) | null;
}

/** The stable JSON of `muslin explain -o json` and `policy eval`. */
export interface Explanation extends Opinion {
  readonly packet: Packet;
  /** True when both ends are one endpoint: such packets stay inside it, where no policy looks. */
  readonly sameEndpoint: boolean;
  /** With every staged policy in force; only where one would change what an end of the packet is asked. */
  readonly pending?: Opinion;
}

export interface EndVerdict extends Verdict {
  readonly endpoint: KeyPath;
  /** `namespace/pod`. */
  readonly name: string;
}

export interface NodeStage extends StageVerdict {
  readonly node: string;
}

/**
 * @throws {NotFoundError} when a node has no such endpoint.
 * @throws {InvalidError} when the ends share no address family.
 */
export function explain(source: Party, destination: Party, probe: Probe): Explanation {
  const packet = packetBetween(source, destination, probe);
  if (isSame(source, destination)) return { ...unjudged, packet, sameEndpoint: true };
  const hops = hopsOf(source, destination);
  const opinion = opinionOf(hops, packet, asEnforced);
  const pending = hops.some(isPending) ? { pending: opinionOf(hops, packet, withStaged) } : {};
  return { ...opinion, packet, sameEndpoint: false, ...pending };
}

const unjudged: Opinion = { allowed: true, egress: null, ingress: null, host: [], gate: null };

function isSame(source: Party, destination: Party): boolean {
  if (source.kind === 'endpoint') return destination.kind === 'endpoint' && source.id === destination.id;
  if (source.kind === 'host')
    return destination.kind === 'host' && source.node.name === destination.node.name;
  return false;
}

/** One node on the packet's way. */
interface Hop {
  readonly node: string;
  readonly state: DataplaneState;
  readonly from: CrossingEnd;
  readonly to: CrossingEnd;
}

function hopsOf(source: Party, destination: Party): readonly Hop[] {
  const [from, to] = [placeOf(source), placeOf(destination)];
  if (from && to && from.node !== '' && from.node === to.node) {
    return [{ node: from.node, state: from.state, from: from.end, to: to.end }];
  }
  const out = from ? [{ ...from, from: from.end, to: from.beyond }] : [];
  const into = to ? [{ ...to, from: to.beyond, to: to.end }] : [];
  return [...out, ...into];
}

/** Null: nobody judges what happens there. */
function placeOf(
  party: Party,
): { node: string; state: DataplaneState; end: CrossingEnd; beyond: CrossingEnd } | null {
  switch (party.kind) {
    case 'address':
      return null;
    case 'host':
      return { ...nodeOf(party.node), end: { at: 'host' } };
    case 'endpoint': {
      const end = { at: 'workload', id: party.id } as const;
      const nowhere = { node: '', state: party.state, beyond: { at: 'beyond', endpoint: null } } as const;
      return { ...(party.node ? nodeOf(party.node) : nowhere), end };
    }
    default:
      return assertNever(party);
  }
}

function nodeOf({ name, state, uplink }: NodeView) {
  return { node: name, state, beyond: { at: 'beyond', endpoint: uplink } as const };
}

function opinionOf(hops: readonly Hop[], packet: Packet, view: TierView): Opinion {
  const judged = hops.map((hop) => ({ hop, verdict: evaluateAtNode(hop.state, hop, packet, view) }));
  const [first, last] = [judged[0], judged.at(-1)];
  const gated = judged.find(({ verdict }) => verdict.gate !== null);
  return {
    allowed: judged.every(({ verdict }) => verdict.allowed),
    egress: endVerdict(first?.hop.state, first?.hop.from, first?.verdict.egress),
    ingress: endVerdict(last?.hop.state, last?.hop.to, last?.verdict.ingress),
    host: judged.flatMap(({ hop: { node }, verdict }) => verdict.stages.map((stage) => ({ node, ...stage }))),
    gate: gated?.verdict.gate ? { node: gated.hop.node, ...gated.verdict.gate } : null,
  };
}

function endVerdict(
  state: DataplaneState | undefined,
  end: CrossingEnd | undefined,
  verdict: Verdict | null | undefined,
): EndVerdict | null {
  if (!verdict || end?.at !== 'workload') return null;
  return { endpoint: end.id, name: state?.endpoints.get(end.id)?.name ?? end.id, ...verdict };
}

function isPending({ state, from, to }: Hop): boolean {
  return (
    isStaged(tiersOf(state, from), directionOf(from, 'egress')) ||
    isStaged(tiersOf(state, to), directionOf(to, 'ingress'))
  );
}

/** Workloads police as ends of the packet; a link's endpoint polices what comes in by it or goes out. */
function directionOf(end: CrossingEnd, asEnd: Direction): Direction {
  if (end.at !== 'beyond') return asEnd;
  return asEnd === 'egress' ? 'ingress' : 'egress';
}

function tiersOf(state: DataplaneState, end: CrossingEnd): readonly ResolvedTier[] {
  if (end.at === 'workload') return state.endpoints.get(end.id)?.tiers ?? [];
  const host = end.at === 'beyond' && end.endpoint !== null ? state.hostEndpoints.get(end.endpoint) : null;
  return host ? [...host.untracked, ...host.preDnat, ...host.forward, ...host.tiers] : [];
}

function packetBetween(source: Party, destination: Party, probe: Probe): Packet {
  const [from, to] = [addressesOf(source), addressesOf(destination)];
  const families: readonly IpFamily[] = probe.ipVersion ? [probe.ipVersion] : [4, 6];
  for (const ipVersion of families) {
    const [src, dst] = [addressOfFamily(from, ipVersion), addressOfFamily(to, ipVersion)];
    if (src && dst) return { ...probe, ipVersion, src, dst };
  }
  const has = (addresses: readonly Address[]) =>
    addresses.map((it) => `IPv${familyOf(it)}`).join(', ') || 'no address';
  throw new InvalidError(
    `cannot send a packet: source has ${has(from)}, destination has ${has(to)}, want ${families.map((f) => `IPv${f}`).join(' or ')} on both`,
  );
}

function addressesOf(party: Party): readonly Address[] {
  if (party.kind === 'address') return [party.address];
  if (party.address !== undefined) return [party.address];
  if (party.kind === 'host') return party.node.addresses;
  const endpoint = party.state.endpoints.get(party.id);
  if (!endpoint) throw new NotFoundError(`cannot explain: the node has no endpoint ${party.id}`);
  return endpoint.addresses;
}
