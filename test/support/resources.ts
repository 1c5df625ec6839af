// SPDX-License-Identifier: Apache-2.0
/** Manifests in short, for tests that write many. */
import type { Resource } from '../../src/model/types.ts';

const calico = 'projectcalico.org/v3';

export interface PodSpec {
  readonly labels?: { readonly [key: string]: string };
  /** `80` or `81/udp`. */
  readonly ports?: readonly string[];
  readonly node?: string;
  readonly annotations?: { readonly [key: string]: string };
}

export function pod(path: string, { labels = {}, ports = [], node, annotations = {} }: PodSpec): Resource {
  const [namespace = '', name = ''] = path.split('/');
  const containerPorts = ports.map((text) => {
    const [port, protocol = 'tcp'] = text.split('/');
    return { containerPort: Number(port), protocol: protocol.toUpperCase() };
  });
  const spec = { containers: [{ name: 'main', image: 'echo', ports: containerPorts }] };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace, labels, annotations },
    spec: node === undefined ? spec : { ...spec, nodeName: node },
  };
}

export function namespace(name: string, labels: { readonly [key: string]: string } = {}): Resource {
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } };
}

export function globalPolicy(name: string, spec: { readonly [field: string]: unknown }): Resource {
  return { apiVersion: calico, kind: 'GlobalNetworkPolicy', metadata: { name }, spec };
}

export function tier(name: string, order: number, defaultAction: 'Deny' | 'Pass'): Resource {
  return { apiVersion: calico, kind: 'Tier', metadata: { name }, spec: { order, defaultAction } };
}

export function globalNetworkSet(name: string, label: string, nets: readonly string[]): Resource {
  return {
    apiVersion: calico,
    kind: 'GlobalNetworkSet',
    metadata: { name, labels: { set: label } },
    spec: { nets },
  };
}
