// SPDX-License-Identifier: Apache-2.0
/**
 * A whole cluster on one imagined node: every Pod is local to it, so one compiled state judges every pair. Built from
 * stored resources, from manifests, or from the short form of `policy eval` requests.
 */
import { compileFor } from '../../calc/compile.ts';
import { tryParseAddress } from '../../lib/address.ts';
import type { Address, KeyPath } from '../../lib/brand.ts';
import { type Fault, InvalidError, NotFoundError } from '../../lib/errors.ts';
import { builtinUpdates } from '../../model/builtin.ts';
import { keyOf, keyPath } from '../../model/kinds.ts';
import type { Resource } from '../../model/types.ts';
import { updatesOf } from '../../model/updates.ts';
import { validateResource } from '../../model/validate/resource.ts';
import { DataplaneState } from '../../observe/dataplane-state.ts';
import type { Party } from '../../observe/explain.ts';
import { type Fields, fieldsOf, listAt, own, textAt, textMapAt, wrong } from './request.ts';

const imaginedNode = 'everywhere';

export interface Cluster {
  readonly state: DataplaneState;
  /** Resources that are invalid and count as absent. */
  readonly faults: readonly Fault[];
}

/** The later of two resources with one key counts, as with `apply`. */
export function clusterOf(resources: readonly Resource[]): Cluster {
  const byPath = new Map(resources.map((resource) => [keyPath(keyOf(resource)) as string, resource]));
  const faults: Fault[] = [];
  const updates = [...byPath.values()].flatMap((resource) => {
    const converted = updatesOf(keyOf(resource), onImaginedNode(resource));
    faults.push(
      ...converted.faults.map((fault) => ({
        ...fault,
        path: `${resource.kind} ${resource.metadata.name} ${fault.path}`,
      })),
    );
    return converted.updates;
  });
  return { state: DataplaneState.from(compileFor(imaginedNode, [...builtinUpdates(), ...updates])), faults };
}

function onImaginedNode(resource: Resource): Resource {
  if (resource.kind !== 'Pod') return resource;
  return { ...resource, spec: { ...(resource.spec as object | undefined), nodeName: imaginedNode } };
}

/** @param text - `namespace/pod`, or an address: a Pod's own address means the Pod. @throws {NotFoundError} {InvalidError} */
export function partyOf(state: DataplaneState, text: string): Party {
  const { byName, byAddress } = indexOf(state);
  const address = tryParseAddress(text);
  if (address) {
    const owner = byAddress.get(address);
    return owner === undefined
      ? { kind: 'address', address }
      : { kind: 'endpoint', state, id: owner, address };
  }
  const id = byName.get(text);
  if (id !== undefined) return { kind: 'endpoint', state, id };
  if (!/^[^/]+\/[^/]+$/.test(text)) throw wrong('from or to', text, 'namespace/pod or an address');
  throw new NotFoundError(`no pod ${text} with an address`);
}

interface EndpointIndex {
  readonly byName: ReadonlyMap<string, KeyPath>;
  readonly byAddress: ReadonlyMap<Address, KeyPath>;
}

/** Of states that no longer change: all pairs of a lab are asked for one after the other. */
const indexes = new WeakMap<DataplaneState, EndpointIndex>();

function indexOf(state: DataplaneState): EndpointIndex {
  const known = indexes.get(state);
  if (known) return known;
  const endpoints = [...state.endpoints];
  const index = {
    byName: new Map(endpoints.map(([id, { name }]) => [name, id])),
    byAddress: new Map(
      endpoints.flatMap(([id, { addresses }]) => addresses.map((address) => [address, id] as const)),
    ),
  };
  indexes.set(state, index);
  return index;
}

/** The short form: `{cluster: {namespaces, pods}, policies}`. @throws {InvalidError} with every fault of every policy. */
export function requestedResources(request: Fields): readonly Resource[] {
  const cluster = fieldsOf(own(request, 'cluster') ?? {}, 'cluster');
  const namespaces = fieldsOf(own(cluster, 'namespaces') ?? {}, 'cluster.namespaces');
  const pods = listAt(cluster, 'pods').map((pod, i) => podOf(fieldsOf(pod, `cluster.pods[${i}]`)));
  const named = new Set([
    ...Object.keys(namespaces),
    ...pods.map((pod) => pod.metadata.namespace ?? 'default'),
  ]);
  const labelled = [...named].map((name) =>
    namespaceOf(name, own(namespaces, name) === undefined ? {} : textMapAt(namespaces, name)),
  );
  return [...labelled, ...pods, ...policiesOf(listAt(request, 'policies'))];
}

function namespaceOf(name: string, labels: { [key: string]: string }): Resource {
  const metadata = { name, labels: { 'kubernetes.io/metadata.name': name, ...labels } };
  return { apiVersion: 'v1', kind: 'Namespace', metadata };
}

function podOf(pod: Fields): Resource {
  const ip = own(pod, 'ip');
  const ips = typeof ip === 'string' ? [ip] : listAt(pod, 'ips').map(String);
  for (const each of ips) if (!tryParseAddress(each)) throw wrong('pod ip', each, 'an IPv4 or IPv6 address');
  const serviceAccountName = own(pod, 'serviceAccount') ?? 'default';
  const ports = listAt(pod, 'ports').map((port, i) => containerPort(fieldsOf(port, `ports[${i}]`)));
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      namespace: textAt(pod, 'namespace'),
      name: textAt(pod, 'name'),
      labels: textMapAt(pod, 'labels'),
    },
    spec: { serviceAccountName, containers: [{ name: 'main', image: 'none', ports }] },
    status: { phase: 'Running', podIP: ips[0], podIPs: ips.map((each) => ({ ip: each })) },
  };
}

function containerPort(port: Fields): object {
  const name = own(port, 'name');
  return {
    containerPort: own(port, 'port') ?? own(port, 'containerPort'),
    protocol: own(port, 'protocol') ?? 'TCP',
    ...(typeof name === 'string' && name !== '' ? { name } : {}),
  };
}

function policiesOf(values: readonly unknown[]): readonly Resource[] {
  const faults: Fault[] = [];
  const resources = values.flatMap((value, i) => {
    const validation = validateResource(value);
    faults.push(...validation.faults.map((fault) => ({ ...fault, path: `policies[${i}].${fault.path}` })));
    return validation.resource ? [validation.resource] : [];
  });
  if (faults.length > 0)
    throw new InvalidError(
      `${faults.length} faults in policies: ${faults[0]?.path} ${faults[0]?.message}`,
      faults,
    );
  return resources;
}
