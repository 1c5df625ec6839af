// SPDX-License-Identifier: Apache-2.0
/**
 * Endpoints of a service that has no EndpointSlice at all, made from the Pods that it selects, as the controller of a
 * cluster would write them.
 *
 * @see kubernetes pkg/controller/endpointslice, podToEndpoint; staging/src/k8s.io/endpointslice/trafficdist
 */
import { type Family, familyOf } from '../lib/address.ts';
import type { Address } from '../lib/brand.ts';
import { hasPorts, tryParseProtocol } from '../lib/protocol.ts';
import { listAt, memberAt, textAt, textMapAt } from '../model/json.ts';
import { podAddresses } from '../model/kubernetes/pod.ts';
import type { Resource } from '../model/types.ts';
import type { EndpointGroup, GroupPort } from './endpoint.ts';
import type { ServicePort, ServiceSpec } from './service-spec.ts';
import { isSpecial } from './special-address.ts';

export interface PodView {
  readonly labels: ReadonlyMap<string, string>;
  readonly node: string;
  readonly addresses: readonly Address[];
  /** Running, and not said to be unready. */
  readonly isReady: boolean;
  readonly isTerminating: boolean;
  readonly ports: readonly GroupPort[];
}

const finished = ['Succeeded', 'Failed'];

/** Null: no endpoint of any service. */
export function readPod(pod: Resource): PodView | null {
  const addresses = podAddresses(pod).filter((address) => !isSpecial(address));
  const phase = textAt(pod, 'status', 'phase');
  const node = textAt(pod, 'spec', 'nodeName');
  if (addresses.length === 0 || node === '' || finished.includes(phase)) return null;
  return {
    labels: textMapAt(pod, 'metadata', 'labels'),
    node,
    addresses,
    isReady: phase === 'Running' && isSaidReady(pod),
    isTerminating: memberAt(pod, 'metadata', 'deletionTimestamp') !== undefined,
    ports: containerPorts(pod),
  };
}

/** Where no kubelet writes conditions a running Pod is ready. */
function isSaidReady(pod: Resource): boolean {
  const conditions = listAt(pod, 'status', 'conditions');
  const ready = conditions.find((condition) => textAt(condition, 'type') === 'Ready');
  return ready === undefined || textAt(ready, 'status') === 'True';
}

/** Init containers that stay have ports too: restartPolicy Always. */
function containerPorts(pod: Resource): readonly GroupPort[] {
  const sidecars = listAt(pod, 'spec', 'initContainers').filter(
    (item) => textAt(item, 'restartPolicy') === 'Always',
  );
  return [...listAt(pod, 'spec', 'containers'), ...sidecars].flatMap((container) =>
    listAt(container, 'ports').flatMap((item) => {
      const port = memberAt(item, 'containerPort');
      const protocol = tryParseProtocol(textAt(item, 'protocol') || 'TCP');
      const isPort = typeof port === 'number' && Number.isInteger(port) && port > 0;
      return isPort && protocol !== null && hasPorts(protocol)
        ? [{ name: textAt(item, 'name'), protocol, port }]
        : [];
    }),
  );
}

export function isSelected(service: ServiceSpec, pod: PodView): boolean {
  const { selector } = service;
  return selector !== null && [...selector].every(([key, value]) => pod.labels.get(key) === value);
}

/** One group for each Pod: a named port may be another number in each. */
export function podGroup(
  service: ServiceSpec,
  pod: PodView,
  zoneOf: (node: string) => string,
): EndpointGroup {
  const { isReady, isTerminating, node } = pod;
  const conditions = {
    ready: service.publishesNotReady || (isReady && !isTerminating),
    serving: isReady,
    terminating: isTerminating,
  };
  return {
    ports: service.ports.flatMap((port) => targetOf(port, pod)),
    endpoints: firstOfEach(pod.addresses).map((address) => ({
      address,
      node,
      ...conditions,
      ...hintsOf(service, node, zoneOf(node)),
    })),
  };
}

/** A Pod without a port of that name does not serve it. */
function targetOf({ name, protocol, target }: ServicePort, pod: PodView): readonly GroupPort[] {
  if (typeof target === 'number') return [{ name, protocol, port: target }];
  const found = pod.ports.find((port) => port.name === target && port.protocol === protocol);
  return found ? [{ name, protocol, port: found.port }] : [];
}

function firstOfEach(addresses: readonly Address[]): readonly Address[] {
  const first = new Map<Family, Address>();
  for (const address of addresses) if (!first.has(familyOf(address))) first.set(familyOf(address), address);
  return [...first.values()];
}

function hintsOf(
  { prefers }: ServiceSpec,
  node: string,
  zone: string,
): { readonly zoneHints: readonly string[]; readonly nodeHints: readonly string[] } {
  const zoneHints = prefers === null || zone === '' ? [] : [zone];
  return { zoneHints, nodeHints: prefers === 'node' ? [node] : [] };
}
