// SPDX-License-Identifier: Apache-2.0
/** Model values in few words, for tests. What is left out is empty, or what most states want. */
import { parseAddress } from '../../lib/address.ts';
import type { IfName, KeyPath } from '../../lib/brand.ts';
import { parseCidr } from '../../lib/cidr.ts';
import type {
  HostEndpointValue,
  ModelPeer,
  ModelRule,
  NetworkSetValue,
  PolicyValue,
  ServiceEndpointsValue,
  TierValue,
  Update,
  WorkloadEndpointValue,
} from '../../model/types.ts';

export const anyone: ModelPeer = {
  nets: [],
  notNets: [],
  ports: [],
  namedPorts: [],
  notPorts: [],
  notNamedPorts: [],
};

type PeerText = Omit<Partial<ModelPeer>, 'nets' | 'notNets'> & {
  readonly nets?: readonly string[];
  readonly notNets?: readonly string[];
};

export function peer({ nets = [], notNets = [], ...rest }: PeerText): ModelPeer {
  return { ...anyone, ...rest, nets: nets.map(parseCidr), notNets: notNets.map(parseCidr) };
}

export function rule(
  action: ModelRule['action'],
  fields: Omit<Partial<ModelRule>, 'source' | 'destination'> & { from?: PeerText; to?: PeerText } = {},
): ModelRule {
  const { from = {}, to = {}, ...rest } = fields;
  return { action, ...rest, source: peer(from), destination: peer(to) };
}

/** `ns/pod`, on node `local` unless it says otherwise. */
export function endpoint(
  name: string,
  addresses: readonly string[],
  fields: Omit<Partial<WorkloadEndpointValue>, 'addresses' | 'name'> = {},
): Update {
  return {
    kind: 'WorkloadEndpoint',
    path: `WorkloadEndpoint/${name}` as KeyPath,
    value: {
      name,
      node: 'local',
      ifName: `cali-${name.replace('/', '-')}` as IfName,
      labels: {},
      profiles: [],
      ports: [],
      adminUp: true,
      ...fields,
      addresses: addresses.map(parseAddress),
    },
  };
}

/** On node `local`, interface `eth0`, unless it says otherwise. */
export function hostEndpoint(
  name: string,
  addresses: readonly string[],
  fields: Omit<Partial<HostEndpointValue>, 'addresses' | 'name'> = {},
): Update {
  return {
    kind: 'HostEndpoint',
    path: `HostEndpoint/${name}` as KeyPath,
    value: {
      name,
      node: 'local',
      ifName: 'eth0' as IfName,
      labels: {},
      profiles: [],
      ports: [],
      ...fields,
      addresses: addresses.map(parseAddress),
    },
  };
}

/** One slice of `namespace/name`. */
export function slice(
  name: string,
  service: string,
  addresses: readonly string[],
  ports: ServiceEndpointsValue['ports'] = [{ protocol: 6, port: 80 }],
): Update {
  const [namespace = '', short = ''] = service.split('/');
  return {
    kind: 'ServiceEndpoints',
    path: `EndpointSlice/${namespace}/${name}` as KeyPath,
    value: { service: { namespace, name: short }, addresses: addresses.map(parseAddress), ports },
  };
}

/** Selects everything, governs ingress, tier `default`, unless it says otherwise. */
export function policy(name: string, fields: Omit<Partial<PolicyValue>, 'name'> = {}): Update {
  const value: PolicyValue = {
    kind: fields.namespace === undefined ? 'GlobalNetworkPolicy' : 'NetworkPolicy',
    name,
    tier: 'default',
    order: Number.POSITIVE_INFINITY,
    selector: 'all()',
    types: { ingress: true, egress: false },
    ingress: [],
    egress: [],
    hostTraffic: 'normal',
    onEveryNode: false,
    ...fields,
  };
  const scope = value.namespace === undefined ? '' : `${value.namespace}/`;
  return { kind: 'Policy', path: `${value.kind}/${scope}${name}` as KeyPath, value };
}

export function tier(
  name: string,
  order: number,
  defaultAction: TierValue['defaultAction'] = 'deny',
): Update {
  return { kind: 'Tier', path: `Tier/${name}` as KeyPath, value: { name, order, defaultAction } };
}

export function profile(
  name: string,
  labels: { readonly [key: string]: string } = {},
  rules: { readonly ingress?: readonly ModelRule[]; readonly egress?: readonly ModelRule[] } = {},
): Update {
  const { ingress = [], egress = [] } = rules;
  return { kind: 'Profile', path: `Profile/${name}` as KeyPath, value: { name, labels, ingress, egress } };
}

export function networkSet(
  name: string,
  nets: readonly string[],
  fields: Omit<Partial<NetworkSetValue>, 'nets'> = {},
): Update {
  return {
    kind: 'NetworkSet',
    path: `NetworkSet/${name}` as KeyPath,
    value: { labels: {}, profiles: [], ...fields, nets: nets.map(parseCidr) },
  };
}

export function node(name: string, ...addresses: readonly string[]): Update {
  return {
    kind: 'Node',
    path: `Node/${name}` as KeyPath,
    value: { name, labels: {}, addresses: addresses.map(parseAddress) },
  };
}
