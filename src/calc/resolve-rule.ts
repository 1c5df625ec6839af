// SPDX-License-Identifier: Apache-2.0
import type { PeerMatch, ResolvedRule } from '../contract/dataplane.ts';
import type { IpSetId } from '../lib/brand.ts';
import { protocolName } from '../lib/protocol.ts';
import { uniqueId } from '../model/selector/canonical.ts';
import type { ModelPeer, ModelRule, ServiceName } from '../model/types.ts';
import { type LabelSelector, type SelectorTexts, selectEverything } from './selectors.ts';

/** What an IP set stands for. */
export type IpSetSpec = LabelSetSpec | ServiceSetSpec;

export interface LabelSetSpec {
  readonly kind: 'labels';
  readonly id: IpSetId;
  readonly selector: LabelSelector;
  /** Null: the addresses themselves. */
  readonly port: NamedPort | null;
}

export interface ServiceSetSpec {
  readonly kind: 'service';
  readonly id: IpSetId;
  readonly service: ServiceName;
  /** False: the addresses alone. */
  readonly withPorts: boolean;
}

export interface NamedPort {
  readonly name: string;
  /** Null: every protocol with ports that the endpoint gives that name. */
  readonly protocol: number | null;
}

export type ResolvedRuleWithSets = { readonly rule: ResolvedRule; readonly sets: readonly IpSetSpec[] };

/**
 * A rule with IP sets in the place of selectors and port names.
 *
 * A selector that does not parse closes: what would allow or log is left out (null), what would deny or pass denies
 * without that side's conditions.
 */
export function resolveRule(rule: ModelRule, texts: SelectorTexts): ResolvedRuleWithSets | null {
  const sets: IpSetSpec[] = [];
  const resolve = (peer: ModelPeer) => resolvePeer(peer, rule.protocol ?? null, texts, sets);
  const src = fromService(rule.source, resolve(rule.source), sets);
  const dst = serviceDestination(rule.destination, sets) ?? resolve(rule.destination);
  const { source: _source, destination: _destination, ...match } = rule;
  if (src && dst) return { rule: { ...match, src, dst }, sets };
  if (rule.action === 'allow' || rule.action === 'log') return null;
  return { rule: { ...match, action: 'deny', src: src ?? anyPeer, dst: dst ?? anyPeer }, sets };
}

/** Matches any address and port. */
export const anyPeer: PeerMatch = {
  nets: [],
  notNets: [],
  sets: [],
  notSets: [],
  ports: [],
  portSets: [],
  notPorts: [],
  notPortSets: [],
};

/** The ports that a service listens on are not those from which its endpoints send: here the addresses alone count. */
function fromService({ service }: ModelPeer, peer: PeerMatch | null, found: IpSetSpec[]): PeerMatch | null {
  return service && peer ? { ...peer, sets: [...peer.sets, useService(service, false, found)] } : peer;
}

function serviceDestination({ service }: ModelPeer, found: IpSetSpec[]): PeerMatch | null {
  return service ? { ...anyPeer, portSets: [useService(service, true, found)] } : null;
}

/** Named as Felix names such sets (calc/rule_scanner.go, IPSetData.UniqueID). */
function useService(service: ServiceName, withPorts: boolean, found: IpSetSpec[]): IpSetId {
  const id = uniqueId(withPorts ? 'svc' : 'svcnoport', serviceKey(service)) as IpSetId;
  found.push({ kind: 'service', id, service, withPorts });
  return id;
}

/** `namespace/name`. */
export function serviceKey({ namespace, name }: ServiceName): string {
  return `${namespace}/${name}`;
}

function resolvePeer(
  peer: ModelPeer,
  protocol: number | null,
  texts: SelectorTexts,
  found: IpSetSpec[],
): PeerMatch | null {
  if (isAnyone(peer)) return anyPeer;
  const positive = peer.selector === undefined ? undefined : texts.compile(peer.selector);
  const negative = peer.notSelector === undefined ? undefined : texts.compile(peer.notSelector);
  if (positive === null || negative === null) return null;
  const use = (spec: IpSetSpec) => {
    found.push(spec);
    return spec.id;
  };
  const useSelector = (selector: LabelSelector) =>
    use({ kind: 'labels', id: selector.id, selector, port: null });
  const usePort = (name: string) => use(portSet(positive ?? selectEverything(), { name, protocol }));
  return {
    nets: orNone(peer.nets),
    notNets: orNone(peer.notNets),
    sets: positive ? [useSelector(positive)] : none,
    notSets: negative ? [useSelector(negative)] : none,
    ports: orNone(peer.ports),
    portSets: orNone(peer.namedPorts.map(usePort)),
    notPorts: orNone(peer.notPorts),
    notPortSets: orNone(peer.notNamedPorts.map(usePort)),
  };
}

/** Most peers say nothing but a selector, or nothing at all; what they leave out is shared by all of them. */
const none: readonly never[] = [];

function orNone<T>(list: readonly T[]): readonly T[] {
  return list.length === 0 ? none : list;
}

function isAnyone({ selector, notSelector, ...lists }: ModelPeer): boolean {
  const { nets, notNets, ports, notPorts, namedPorts, notNamedPorts } = lists;
  const conditions = [nets, notNets, ports, notPorts, namedPorts, notNamedPorts];
  return selector === undefined && notSelector === undefined && conditions.every((list) => list.length === 0);
}

/** Felix names such a set by `n:` and a hash of selector id, protocol and port name (calc/rule_scanner.go, IPSetData). */
function portSet(selector: LabelSelector, port: NamedPort): LabelSetSpec {
  const protocol = port.protocol === null ? 'any' : protocolName(port.protocol).toLowerCase();
  const id = uniqueId('n', `${selector.id},${protocol},${port.name}`) as IpSetId;
  return { kind: 'labels', id, selector, port };
}
