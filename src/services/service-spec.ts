// SPDX-License-Identifier: Apache-2.0
/** A Service as far as balancing it goes: API reference v1, Service; kubernetes pkg/proxy/serviceport.go. */
import { type Family, familyOf, tryParseAddress } from '../lib/address.ts';
import type { Address, Cidr } from '../lib/brand.ts';
import { tryParseCidr } from '../lib/cidr.ts';
import type { Fault } from '../lib/errors.ts';
import { parseProtocol } from '../lib/protocol.ts';
import { listAt, memberAt, textAt, textMapAt } from '../model/json.ts';
import { keyOf, keyPath } from '../model/kinds.ts';
import type { Resource, ResourceKey } from '../model/types.ts';
import { validateResource } from '../model/validate/resource.ts';
import { isSpecial } from './special-address.ts';

export interface ServiceSpec {
  readonly namespace: string;
  readonly name: string;
  /** ISO 8601; empty when nobody says. */
  readonly created: string;
  /** Those of its cluster addresses: in another family it is not reached at all. */
  readonly families: readonly Family[];
  /** No address twice; cluster addresses first. */
  readonly addresses: readonly ServiceAddress[];
  readonly ports: readonly ServicePort[];
  /** internalTrafficPolicy, externalTrafficPolicy: Local. */
  readonly isInternalLocal: boolean;
  readonly isExternalLocal: boolean;
  /** 0: a client may meet another backend each time. */
  readonly affinitySeconds: number;
  /** From where its load balancer's addresses are reached; null: from anywhere. */
  readonly sources: readonly Cidr[] | null;
  readonly isMaglev: boolean;
  /** 0: none. */
  readonly healthCheckPort: number;
  /** Null: its endpoints are its author's affair. */
  readonly selector: ReadonlyMap<string, string> | null;
  readonly publishesNotReady: boolean;
  readonly prefers: 'zone' | 'node' | null;
}

export interface ServiceAddress {
  readonly kind: 'cluster-ip' | 'external-ip' | 'load-balancer';
  readonly address: Address;
}

export interface ServicePort {
  readonly name: string;
  readonly protocol: number;
  readonly port: number;
  /** 0: none. */
  readonly nodePort: number;
  /** A number, or the name of a container's port; only for endpoints that are made from Pods. */
  readonly target: number | string;
}

export interface ServiceView {
  /** Null: not ours to balance, or unreadable. */
  readonly service: ServiceSpec | null;
  readonly faults: readonly Fault[];
}

const proxyNameLabel = 'service.kubernetes.io/service-proxy-name';
const headlessLabel = 'service.kubernetes.io/headless';
const excludeAnnotation = 'projectcalico.org/natExcludeService';
const strategyAnnotation = 'lb.projectcalico.org/external-traffic-strategy';
const sourcesAnnotation = 'service.beta.kubernetes.io/load-balancer-source-ranges';

const usualAffinitySeconds = 10_800; // DefaultClientIPServiceAffinitySeconds
const mostAffinitySeconds = 86_400; // MaxClientIPServiceAffinitySeconds

/** What another proxy serves, and what none does: of services and of slices alike. */
export function isForOthers(labels: ReadonlyMap<string, string>): boolean {
  return labels.has(proxyNameLabel) || labels.has(headlessLabel);
}

/** @param stored - trusted for nothing. */
export function readService(key: ResourceKey, stored: unknown): ServiceView {
  const { resource, faults } = validateResource(stored);
  if (!resource) return { service: null, faults };
  const path = keyPath(keyOf(resource));
  if (path !== keyPath(key)) {
    return { service: null, faults: [{ path: 'metadata', message: `got ${path}, want ${keyPath(key)}` }] };
  }
  if (!isBalanced(resource)) return { service: null, faults: [] };
  const report: Fault[] = [];
  return { service: specOf(resource, report), faults: report };
}

/** Headless ones, names of the DNS and those that wait for an address have nothing to translate. */
function isBalanced(service: Resource): boolean {
  const { labels, annotations } = {
    labels: textMapAt(service, 'metadata', 'labels'),
    annotations: annotationsOf(service),
  };
  if (isForOthers(labels) || annotations.get(excludeAnnotation) === 'true') return false;
  return textAt(service, 'spec', 'type') !== 'ExternalName' && clusterTexts(service).length > 0;
}

function specOf(service: Resource, faults: Fault[]): ServiceSpec {
  const cluster = clusterTexts(service).flatMap((text) => usable(text, 'spec.clusterIPs', faults));
  const families = [...new Set(cluster.map((address) => familyOf(address)))];
  const selector = textMapAt(service, 'spec', 'selector');
  const { name, namespace = 'default', creationTimestamp = '' } = service.metadata;
  return {
    namespace,
    name,
    created: creationTimestamp,
    families,
    addresses: addressesOf(service, cluster, faults).filter(({ address }) =>
      families.includes(familyOf(address)),
    ),
    ports: portsOf(service, faults),
    isInternalLocal: textAt(service, 'spec', 'internalTrafficPolicy') === 'Local',
    isExternalLocal: isExternalLocal(service),
    affinitySeconds: affinityOf(service, faults),
    sources: sourcesOf(service, faults),
    isMaglev: isMaglev(service, faults),
    healthCheckPort: healthCheckPort(service),
    selector: selector.size > 0 ? selector : null,
    publishesNotReady: memberAt(service, 'spec', 'publishNotReadyAddresses') === true,
    prefers: preferenceOf(textAt(service, 'spec', 'trafficDistribution')),
  };
}

/** The list, or where an older client wrote none the single field. */
function clusterTexts(service: Resource): readonly string[] {
  const list = listAt(service, 'spec', 'clusterIPs').filter((item) => typeof item === 'string');
  const texts = list.length > 0 ? list : [textAt(service, 'spec', 'clusterIP')];
  return texts.filter((text) => text !== '' && text !== 'None');
}

function addressesOf(
  service: Resource,
  cluster: readonly Address[],
  faults: Fault[],
): readonly ServiceAddress[] {
  const kinds: { readonly [K in ServiceAddress['kind']]: readonly Address[] } = {
    'cluster-ip': cluster,
    'external-ip': listAt(service, 'spec', 'externalIPs').flatMap((text) =>
      usable(text, 'spec.externalIPs', faults),
    ),
    'load-balancer': balancerAddresses(service, faults),
  };
  const found = new Map<Address, ServiceAddress>();
  for (const kind of ['cluster-ip', 'external-ip', 'load-balancer'] as const)
    for (const address of kinds[kind]) if (!found.has(address)) found.set(address, { kind, address });
  return [...found.values()];
}

/** Not those of a load balancer that stands before the nodes as a proxy and wants to be passed: KEP-1860, ipMode. */
function balancerAddresses(service: Resource, faults: Fault[]): readonly Address[] {
  if (textAt(service, 'spec', 'type') !== 'LoadBalancer') return [];
  return listAt(service, 'status', 'loadBalancer', 'ingress')
    .filter((row) => (textAt(row, 'ipMode') || 'VIP') === 'VIP')
    .flatMap((row) => usable(textAt(row, 'ip'), 'status.loadBalancer.ingress', faults));
}

function usable(text: unknown, path: string, faults: Fault[]): readonly Address[] {
  const address = typeof text === 'string' ? tryParseAddress(text) : null;
  if (!address) return [];
  if (!isSpecial(address)) return [address];
  faults.push({
    path,
    message: `got ${address}, want an address that a service may have: it does not count`,
  });
  return [];
}

function hasNodePorts(service: Resource): boolean {
  return ['NodePort', 'LoadBalancer'].includes(textAt(service, 'spec', 'type'));
}

function portsOf(service: Resource, faults: Fault[]): readonly ServicePort[] {
  const takes = hasNodePorts(service);
  return listAt(service, 'spec', 'ports').map((item, i) => {
    const nodePort = Number(memberAt(item, 'nodePort') ?? 0);
    if (nodePort !== 0 && !takes) {
      const message = `got ${nodePort}, want type NodePort or LoadBalancer with it: it has no effect`;
      faults.push({ path: `spec.ports[${i}].nodePort`, message });
    }
    const port = Number(memberAt(item, 'port'));
    const target = memberAt(item, 'targetPort');
    return {
      name: textAt(item, 'name'),
      protocol: parseProtocol(textAt(item, 'protocol') || 'TCP'),
      port,
      nodePort: takes ? nodePort : 0,
      target: typeof target === 'string' && target !== '' ? target : Number(target || port),
    };
  });
}

function isExternalLocal(service: Resource): boolean {
  const isReachedFromOutside = hasNodePorts(service) || listAt(service, 'spec', 'externalIPs').length > 0;
  return isReachedFromOutside && textAt(service, 'spec', 'externalTrafficPolicy') === 'Local';
}

function affinityOf(service: Resource, faults: Fault[]): number {
  if (textAt(service, 'spec', 'sessionAffinity') !== 'ClientIP') return 0;
  const seconds = memberAt(service, 'spec', 'sessionAffinityConfig', 'clientIP', 'timeoutSeconds');
  if (seconds === undefined) return usualAffinitySeconds;
  if (Number.isInteger(seconds) && Number(seconds) > 0 && Number(seconds) <= mostAffinitySeconds)
    return Number(seconds);
  const message = `got ${JSON.stringify(seconds)}, want 1 to ${mostAffinitySeconds}: ${usualAffinitySeconds} holds`;
  faults.push({ path: 'spec.sessionAffinityConfig.clientIP.timeoutSeconds', message });
  return usualAffinitySeconds;
}

/** What cannot be read lets nobody in. */
function sourcesOf(service: Resource, faults: Fault[]): readonly Cidr[] | null {
  if (textAt(service, 'spec', 'type') !== 'LoadBalancer') return null;
  const written = listAt(service, 'spec', 'loadBalancerSourceRanges').map(String);
  const annotation = (annotationsOf(service).get(sourcesAnnotation) ?? '').trim();
  const texts = written.length > 0 || annotation === '' ? written : annotation.split(',');
  if (texts.length === 0) return null;
  return texts.flatMap((text) => {
    const cidr = tryParseCidr(text.trim());
    if (!cidr)
      faults.push({
        path: `metadata.annotations.${sourcesAnnotation}`,
        message: `got ${JSON.stringify(text)}, want a CIDR: it lets nobody in`,
      });
    return cidr ? [cidr] : [];
  });
}

function isMaglev(service: Resource, faults: Fault[]): boolean {
  const strategy = annotationsOf(service).get(strategyAnnotation) ?? '';
  if (strategy !== '' && strategy !== 'maglev')
    faults.push({
      path: `metadata.annotations.${strategyAnnotation}`,
      message: `got ${JSON.stringify(strategy)}, want maglev: it has no effect`,
    });
  return strategy === 'maglev';
}

/** @see kubernetes pkg/api/v1/service, NeedsHealthCheck */
function healthCheckPort(service: Resource): number {
  const needs = textAt(service, 'spec', 'type') === 'LoadBalancer' && isExternalLocal(service);
  return needs ? Number(memberAt(service, 'spec', 'healthCheckNodePort') ?? 0) : 0;
}

/** PreferClose is the older name of PreferSameZone: KEP-3015. */
function preferenceOf(distribution: string): ServiceSpec['prefers'] {
  if (distribution === 'PreferSameNode') return 'node';
  return distribution === 'PreferClose' || distribution === 'PreferSameZone' ? 'zone' : null;
}

function annotationsOf(service: Resource): ReadonlyMap<string, string> {
  return textMapAt(service, 'metadata', 'annotations');
}
