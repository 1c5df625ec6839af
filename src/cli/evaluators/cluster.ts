// SPDX-License-Identifier: Apache-2.0
/**
 * A whole cluster on one imagined node: every Pod is local to it, so one compiled state judges every pair. Built from
 * stored resources, from manifests, or from the short form of `policy eval` requests. Where nodes differ, as their own
 * endpoints and settings do, each is compiled by itself: cluster-nodes.ts.
 */
import { compileFor } from '../../calc/compile.ts';
import { tryParseAddress } from '../../lib/address.ts';
import type { KeyPath } from '../../lib/brand.ts';
import { type Fault, InvalidError } from '../../lib/errors.ts';
import { builtinUpdates } from '../../model/builtin.ts';
import { textAt as textOf } from '../../model/json.ts';
import { keyOf, keyPath, rowOfManifest } from '../../model/kinds.ts';
import type { Resource, Update, WorkloadEndpointValue } from '../../model/types.ts';
import { updatesOf } from '../../model/updates.ts';
import { validateResource } from '../../model/validate/resource.ts';
import { DataplaneState } from '../../observe/dataplane-state.ts';
import { ClusterNodes, imaginedNode, type NodeKnowledge } from './cluster-nodes.ts';
import { type Fields, fieldsOf, listAt, own, textAt, textMapAt, wrong } from './request.ts';

export interface Cluster {
  readonly state: DataplaneState;
  readonly nodes: ClusterNodes;
  /** The named ports of each endpoint, of workloads and of hosts. */
  readonly ports: ReadonlyMap<KeyPath, WorkloadEndpointValue['ports']>;
  /** Resources that are invalid and count as absent. */
  readonly faults: readonly Fault[];
}

/** The later of two resources with one key counts, as with `apply`. */
export function clusterOf(resources: readonly Resource[], knowledge: NodeKnowledge = {}): Cluster {
  const named = resources.filter(hasName);
  const byPath = new Map(named.map((resource) => [keyPath(keyOf(resource)) as string, resource]));
  const faults: Fault[] = resources
    .filter((resource) => !hasName(resource))
    .map((resource) => ({
      path: '',
      message: `got ${JSON.stringify(resource).slice(0, 80)}, want an object of a known kind`,
    }));
  const updates = [...byPath.values()].flatMap((resource) => {
    const converted = updatesOf(keyOf(resource), placed(resource));
    faults.push(
      ...converted.faults.map((fault) => ({
        ...fault,
        path: `${resource.kind} ${resource.metadata.name} ${fault.path}`,
      })),
    );
    return converted.updates;
  });
  const everywhere = [...builtinUpdates(), ...updates.map(onImaginedNode)];
  return {
    state: DataplaneState.from(compileFor(imaginedNode, everywhere)),
    nodes: new ClusterNodes(updates, knowledge),
    ports: new Map(updates.flatMap(portsIn)),
    faults,
  };
}

/** What was stored behind our back need not even say what it is. */
function hasName(resource: Resource): boolean {
  const [apiVersion, kind] = [textOf(resource, 'apiVersion'), textOf(resource, 'kind')];
  return rowOfManifest(apiVersion, kind) !== null && textOf(resource, 'metadata', 'name') !== '';
}

/** A Pod that nobody placed is an endpoint all the same: of the imagined node. */
function placed(resource: Resource): Resource {
  const spec = resource.spec as { readonly nodeName?: unknown } | undefined;
  if (resource.kind !== 'Pod' || spec?.nodeName) return resource;
  return { ...resource, spec: { ...spec, nodeName: imaginedNode } };
}

function onImaginedNode(update: Update): Update {
  if (update.kind !== 'WorkloadEndpoint' || !update.value) return update;
  return { ...update, value: { ...update.value, node: imaginedNode } };
}

function portsIn(update: Update): [KeyPath, WorkloadEndpointValue['ports']][] {
  const hasPorts = update.kind === 'WorkloadEndpoint' || update.kind === 'HostEndpoint';
  return hasPorts && update.value ? [[update.path, update.value.ports]] : [];
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
    for (const fault of validation.faults) faults.push({ ...fault, path: `policies[${i}].${fault.path}` });
    return validation.resource ? [validation.resource] : [];
  });
  if (faults.length > 0)
    throw new InvalidError(
      `${faults.length} faults in policies: ${faults[0]?.path} ${faults[0]?.message}`,
      faults,
    );
  return resources;
}
