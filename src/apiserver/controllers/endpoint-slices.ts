// SPDX-License-Identifier: Apache-2.0
/**
 * EndpointSlices of Services with a selector, from the Pods that it selects: one slice for each family, whatever its size
 * (k8s.io/endpointslice; a real one cuts them at 100 endpoints).
 */
import { listAt, member, memberAt, textAt, textMapAt } from '../../model/json.ts';
import type { Json, JsonObject } from '../../model/types.ts';
import { collectionOf } from '../collection.ts';
import { plainDeletion } from '../delete-options.ts';
import { present } from '../object-meta.ts';
import type { ApiObject } from '../objects/object.ts';
import { removeObject } from '../remove.ts';
import type { Serving } from '../serving.ts';
import { put } from './own-writes.ts';
import { Pass } from './pass.ts';

const group = 'discovery.k8s.io';
const serviceLabel = 'kubernetes.io/service-name';
const managerLabel = 'endpointslice.kubernetes.io/managed-by';
const manager = 'endpointslice-controller.k8s.io';

const services = collectionOf('', 'services');
const pods = collectionOf('', 'pods');
const slices = collectionOf(group, 'endpointslices');

type Family = 'IPv4' | 'IPv6';

export function followServices(serving: Serving): () => void {
  const pass = new Pass(() => reconcile(serving), 20);
  const ends = [services, pods, slices].map((collection) =>
    serving.store.follow(collection, () => pass.plan()),
  );
  pass.plan();
  return () => {
    pass.stop();
    for (const end of ends) end();
  };
}

function reconcile(serving: Serving): void {
  const wanted = new Map<string, JsonObject>();
  for (const service of serving.store.list(services)) {
    for (const slice of slicesOf(service, serving.store.list(pods, service.metadata.namespace))) {
      const { namespace, name } = slice.metadata as { readonly namespace: string; readonly name: string };
      wanted.set(`${namespace}/${name}`, slice);
      put(serving, { group, plural: 'endpointslices', namespace, body: slice });
    }
  }
  dropOthers(serving, wanted);
}

function dropOthers(serving: Serving, wanted: ReadonlyMap<string, JsonObject>): void {
  const resource = serving.catalog.findAny(group, 'endpointslices');
  if (!resource) return;
  for (const slice of serving.store.list(slices)) {
    const { namespace, name, labels } = slice.metadata;
    if (labels?.[managerLabel] === manager && !wanted.has(`${namespace}/${name}`))
      removeObject(serving, resource, slice, plainDeletion);
  }
}

function slicesOf(service: ApiObject, candidates: readonly ApiObject[]): readonly JsonObject[] {
  const selector = textMapAt(service, 'spec', 'selector');
  if (selector.size === 0 || textAt(service, 'spec', 'type') === 'ExternalName') return [];
  const selected = candidates.filter((pod) => isSelected(pod, selector) && isPlaced(pod));
  const families = listAt(service, 'spec', 'ipFamilies') as readonly Family[];
  return (families.length > 0 ? families : (['IPv4'] as const)).flatMap((family) =>
    groupsByPorts(service, selected).map(({ ports, members }) => sliceOf(service, family, ports, members)),
  );
}

function isSelected({ metadata }: ApiObject, selector: ReadonlyMap<string, string>): boolean {
  return [...selector].every(([key, value]) => metadata.labels?.[key] === value);
}

function isPlaced(pod: ApiObject): boolean {
  const phase = textAt(pod, 'status', 'phase');
  return textAt(pod, 'status', 'podIP') !== '' && phase !== 'Succeeded' && phase !== 'Failed';
}

interface PortGroup {
  readonly ports: readonly JsonObject[];
  readonly members: readonly ApiObject[];
}

/** Pods may give a named port different numbers; each set of numbers is a slice of its own. */
function groupsByPorts(service: ApiObject, selected: readonly ApiObject[]): readonly PortGroup[] {
  const groups = new Map<string, { ports: readonly JsonObject[]; members: ApiObject[] }>();
  for (const pod of selected) {
    const ports = portsOf(service, pod);
    const key = JSON.stringify(ports);
    const found = groups.get(key) ?? { ports, members: [] };
    groups.set(key, found);
    found.members.push(pod);
  }
  return groups.size > 0 ? [...groups.values()] : [{ ports: [], members: [] }];
}

function portsOf(service: ApiObject, pod: ApiObject): readonly JsonObject[] {
  return listAt(service, 'spec', 'ports').flatMap((port) => {
    const protocol = textAt(port, 'protocol') || 'TCP';
    const target = member(port, 'targetPort') ?? member(port, 'port');
    const number = typeof target === 'number' ? target : namedPort(pod, String(target), protocol);
    if (number === null) return [];
    const appProtocol = member(port, 'appProtocol') as Json | undefined;
    return [present({ name: textAt(port, 'name'), port: number, protocol, appProtocol })];
  });
}

function namedPort(pod: ApiObject, name: string, protocol: string): number | null {
  const ports = listAt(pod, 'spec', 'containers').flatMap((container) => listAt(container, 'ports'));
  const found = ports.find(
    (port) => textAt(port, 'name') === name && (textAt(port, 'protocol') || 'TCP') === protocol,
  );
  const number = member(found, 'containerPort');
  return typeof number === 'number' ? number : null;
}

function sliceOf(
  service: ApiObject,
  family: Family,
  ports: readonly JsonObject[],
  members: readonly ApiObject[],
): JsonObject {
  const { name, namespace = '', uid = '' } = service.metadata;
  const numbers = ports.map((port) => String(port.port)).join('-');
  const owner = { apiVersion: 'v1', kind: 'Service', name, uid, controller: true, blockOwnerDeletion: true };
  return {
    apiVersion: `${group}/v1`,
    kind: 'EndpointSlice',
    metadata: {
      name: [name, family.toLowerCase(), numbers].filter((part) => part !== '').join('-'),
      namespace,
      labels: { ...service.metadata.labels, [serviceLabel]: name, [managerLabel]: manager },
      ownerReferences: [owner],
    },
    addressType: family,
    ports,
    endpoints: members.flatMap((pod) => endpointOf(pod, family)),
  };
}

function endpointOf(pod: ApiObject, family: Family): readonly JsonObject[] {
  const address = addressesOf(pod).find((text) => text.includes(':') === (family === 'IPv6'));
  if (address === undefined) return [];
  const isServing = isReady(pod);
  const terminating = pod.metadata.deletionTimestamp !== undefined;
  const { name, namespace = '', uid = '' } = pod.metadata;
  return [
    present({
      addresses: [address],
      conditions: { ready: isServing && !terminating, serving: isServing, terminating },
      nodeName: textAt(pod, 'spec', 'nodeName') || undefined,
      targetRef: { kind: 'Pod', name, namespace, uid },
    }),
  ];
}

function addressesOf(pod: ApiObject): readonly string[] {
  const several = listAt(pod, 'status', 'podIPs').map((entry) => textAt(entry, 'ip'));
  return several.length > 0 ? several : [textAt(pod, 'status', 'podIP')];
}

function isReady(pod: ApiObject): boolean {
  const ready = listAt(pod, 'status', 'conditions').find(
    (condition) => textAt(condition, 'type') === 'Ready',
  );
  return memberAt(ready, 'status') === 'True';
}
