// SPDX-License-Identifier: Apache-2.0
/** Services, slices and what a node hears of them, in short. */
import type { ServiceFrontend, TranslationConfig, TranslationMessage } from '../../src/contract/services.ts';
import { keyOf } from '../../src/model/kinds.ts';
import type { Resource } from '../../src/model/types.ts';
import { ServiceGraph } from '../../src/services/graph.ts';

interface Fields {
  readonly [field: string]: unknown;
}

export interface ServiceShort {
  readonly labels?: { readonly [key: string]: string };
  readonly annotations?: { readonly [key: string]: string };
  readonly created?: string;
  readonly status?: Fields;
  readonly [field: string]: unknown;
}

/** `namespace/name`; by default TCP 80 at 10.96.0.1. All other fields are the spec's. */
export function service(
  path: string,
  { labels, annotations, created, status, ...spec }: ServiceShort = {},
): Resource {
  const [namespace = '', name = ''] = path.split('/');
  const metadata = {
    namespace,
    name,
    ...(labels ? { labels } : {}),
    ...(annotations ? { annotations } : {}),
    ...(created === undefined ? {} : { creationTimestamp: created }),
  };
  const clusterIP = spec.clusterIPs === undefined ? { clusterIP: '10.96.0.1' } : {};
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata,
    spec: { type: 'ClusterIP', ...clusterIP, ports: [{ port: 80 }], ...spec },
    ...(status ? { status } : {}),
  };
}

export interface EndpointShort {
  readonly node?: string;
  readonly zones?: readonly string[];
  readonly nodes?: readonly string[];
  readonly ready?: boolean;
  readonly serving?: boolean;
  readonly terminating?: boolean;
}

export interface SliceShort {
  /** `namespace/service` it belongs to. */
  readonly of: string;
  readonly ports?: readonly Fields[];
  readonly labels?: { readonly [key: string]: string };
}

export function slice(
  name: string,
  { of, ports = [{ port: 8080 }], labels = {} }: SliceShort,
  endpoints: { readonly [address: string]: EndpointShort },
): Resource {
  const [namespace = '', owner = ''] = of.split('/');
  const isV6 = Object.keys(endpoints).some((address) => address.includes(':'));
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { namespace, name, labels: { 'kubernetes.io/service-name': owner, ...labels } },
    addressType: isV6 ? 'IPv6' : 'IPv4',
    ports,
    endpoints: Object.entries(endpoints).map(([address, short]) => endpoint(address, short)),
  };
}

function endpoint(address: string, { node, zones, nodes, ...conditions }: EndpointShort): Fields {
  const named = (names: readonly string[]) => names.map((name) => ({ name }));
  const hints = {
    ...(zones ? { forZones: named(zones) } : {}),
    ...(nodes ? { forNodes: named(nodes) } : {}),
  };
  return { addresses: [address], conditions, hints, ...(node === undefined ? {} : { nodeName: node }) };
}

export function kubernetesNode(name: string, zone: string, addresses: readonly string[] = []): Resource {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, labels: { 'topology.kubernetes.io/zone': zone } },
    status: { addresses: addresses.map((address) => ({ type: 'InternalIP', address })) },
  };
}

/** A data plane that only remembers. */
export class Translations {
  config: TranslationConfig | null = null;
  readonly services: Map<string, readonly ServiceFrontend[]> = new Map();
  readonly heard: TranslationMessage[] = [];

  readonly hear = (message: TranslationMessage): void => {
    this.heard.push(message);
    if (message.kind === 'translation-update') this.config = message.config;
    else if (message.kind === 'service-update')
      this.services.set(message.service.name, message.service.frontends);
    else this.services.delete(message.id.replace('Service/', ''));
  };
}

/** A graph of node `here`, told these resources and in sync. */
export class ServiceRig {
  readonly graph: ServiceGraph;
  readonly told: Translations = new Translations();

  constructor(resources: readonly Resource[], local?: { readonly [name: string]: string }) {
    const environment = new Map(Object.entries(local ?? {}));
    this.graph = new ServiceGraph({ node: 'here', local: { file: new Map(), environment } });
    this.graph.onStatus('in-sync');
    this.put(...resources);
  }

  put(...resources: readonly Resource[]): void {
    this.graph.onResources(resources.map((resource) => ({ key: keyOf(resource), resource })));
    this.graph.flush(this.told.hear);
  }

  remove(...resources: readonly Resource[]): void {
    this.graph.onResources(resources.map((resource) => ({ key: keyOf(resource), resource: null })));
    this.graph.flush(this.told.hear);
  }

  /** What was said since the last call, in short. */
  news(): readonly string[] {
    return this.told.heard.splice(0).map((message) => {
      if (message.kind === 'translation-update') return 'config';
      return message.kind === 'service-remove' ? `- ${message.id}` : `+ ${message.id}`;
    });
  }

  frontends(path: string): readonly ServiceFrontend[] {
    return this.told.services.get(path) ?? [];
  }

  /** `cluster-ip 10.96.0.1 80 -> inside | outside`, backends as address:port with `*` behind a local one. */
  lines(path: string): readonly string[] {
    return this.frontends(path).map((frontend) => {
      const list = (side: 'inside' | 'outside') =>
        frontend[side].map(({ address, port, local }) => `${address}:${port}${local ? '*' : ''}`).join(' ') ||
        frontend[side === 'inside' ? 'withoutInside' : 'withoutOutside'];
      const where = frontend.address ?? `any${frontend.family}`;
      return `${frontend.kind} ${where} ${frontend.port} -> ${list('inside')} | ${list('outside')}`;
    });
  }

  faults(): readonly string[] {
    return this.graph
      .faults()
      .flatMap(({ path, faults }) => faults.map((fault) => `${path} ${fault.path}: ${fault.message}`));
  }
}
