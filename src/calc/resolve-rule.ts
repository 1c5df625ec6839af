// SPDX-License-Identifier: Apache-2.0
import type { PeerMatch, ResolvedRule } from '../contract/dataplane.ts';
import type { IpSetId } from '../lib/brand.ts';
import { protocolName } from '../lib/protocol.ts';
import { uniqueId } from '../model/selector/canonical.ts';
import type { ModelPeer, ModelRule, ServiceName } from '../model/types.ts';
import { type LabelSelector, selectEverything, tryCompileSelector } from './selectors.ts';

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
export function resolveRule(rule: ModelRule): ResolvedRuleWithSets | null {
  const sets: IpSetSpec[] = [];
  const src = serviceSource(rule.source, sets) ?? resolvePeer(rule.source, rule.protocol ?? null, sets);
  const dst =
    serviceDestination(rule.destination, sets) ?? resolvePeer(rule.destination, rule.protocol ?? null, sets);
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

/** Where packets come from a service's ports say nothing. */
function serviceSource({ service }: ModelPeer, found: IpSetSpec[]): PeerMatch | null {
  return service ? { ...anyPeer, sets: [useService(service, false, found)] } : null;
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

function resolvePeer(peer: ModelPeer, protocol: number | null, found: IpSetSpec[]): PeerMatch | null {
  const positive = peer.selector === undefined ? undefined : tryCompileSelector(peer.selector);
  const negative = peer.notSelector === undefined ? undefined : tryCompileSelector(peer.notSelector);
  if (positive === null || negative === null) return null;
  const use = (spec: IpSetSpec) => {
    found.push(spec);
    return spec.id;
  };
  const useSelector = (selector: LabelSelector) =>
    use({ kind: 'labels', id: selector.id, selector, port: null });
  const usePort = (name: string) => use(portSet(positive ?? selectEverything(), { name, protocol }));
  return {
    nets: peer.nets,
    notNets: peer.notNets,
    sets: positive ? [useSelector(positive)] : [],
    notSets: negative ? [useSelector(negative)] : [],
    ports: peer.ports,
    portSets: peer.namedPorts.map(usePort),
    notPorts: peer.notPorts,
    notPortSets: peer.notNamedPorts.map(usePort),
  };
}

/** Felix names such a set by `n:` and a hash of selector id, protocol and port name (calc/rule_scanner.go, IPSetData). */
function portSet(selector: LabelSelector, port: NamedPort): LabelSetSpec {
  const protocol = port.protocol === null ? 'any' : protocolName(port.protocol).toLowerCase();
  const id = uniqueId('n', `${selector.id},${protocol},${port.name}`) as IpSetId;
  return { kind: 'labels', id, selector, port };
}
