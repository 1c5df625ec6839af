// SPDX-License-Identifier: Apache-2.0
/**
 * Why one end reaches another, or does not: egress of the source, then ingress of the destination.
 *
 * Each end is either an endpoint, judged by the messages of its own node, or an outside address, which nobody judges.
 */
import type { IpFamily } from '../contract/dataplane.ts';
import { familyOf } from '../lib/address.ts';
import type { Address, KeyPath } from '../lib/brand.ts';
import { InvalidError, NotFoundError } from '../lib/errors.ts';
import { addressOfFamily, type DataplaneState } from './dataplane-state.ts';
import { evaluate, type Verdict } from './evaluate.ts';
import type { Packet } from './packet-match.ts';

export type Party =
  | {
      readonly kind: 'endpoint';
      readonly state: DataplaneState;
      readonly id: KeyPath;
      /** The one that was asked for; absent: any of the endpoint's. */
      readonly address?: Address;
    }
  | { readonly kind: 'address'; readonly address: Address };

/** What is sent; the addresses follow from the parties. */
export type Probe = Omit<Packet, 'ipVersion' | 'src' | 'dst'> & {
  /** @defaultValue the family of an outside address, else 4 where both ends have it, else 6. */
  readonly ipVersion?: IpFamily;
};

/** The stable JSON of `muslin explain -o json` and `policy eval`. */
export interface Explanation {
  readonly allowed: boolean;
  readonly packet: Packet;
  /** True when both ends are one endpoint: such packets stay inside it, where no policy looks. */
  readonly sameEndpoint: boolean;
  /** What the source's policy says; null when the source is outside, or both ends are one. */
  readonly egress: EndVerdict | null;
  /** The same of the destination; also when egress denied, for then it is the next to be asked. */
  readonly ingress: EndVerdict | null;
}

export interface EndVerdict extends Verdict {
  readonly endpoint: KeyPath;
  /** `namespace/pod`. */
  readonly name: string;
}

/**
 * @throws {NotFoundError} when a node has no such endpoint.
 * @throws {InvalidError} when the ends share no address family.
 */
export function explain(source: Party, destination: Party, probe: Probe): Explanation {
  const packet = packetBetween(source, destination, probe);
  if (source.kind === 'endpoint' && destination.kind === 'endpoint' && source.id === destination.id) {
    return { allowed: true, packet, sameEndpoint: true, egress: null, ingress: null };
  }
  const egress = source.kind === 'endpoint' ? endVerdict(source, 'egress', packet) : null;
  const ingress = destination.kind === 'endpoint' ? endVerdict(destination, 'ingress', packet) : null;
  const allowed = egress?.verdict !== 'deny' && ingress?.verdict !== 'deny';
  return { allowed, packet, sameEndpoint: false, egress, ingress };
}

function endVerdict(
  { state, id }: Extract<Party, { kind: 'endpoint' }>,
  direction: 'ingress' | 'egress',
  packet: Packet,
): EndVerdict {
  return {
    endpoint: id,
    name: state.endpoints.get(id)?.name ?? id,
    ...evaluate(state, id, direction, packet),
  };
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
  const endpoint = party.state.endpoints.get(party.id);
  if (!endpoint) throw new NotFoundError(`cannot explain: the node has no endpoint ${party.id}`);
  return party.address === undefined ? endpoint.addresses : [party.address];
}
