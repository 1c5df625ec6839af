// SPDX-License-Identifier: Apache-2.0
/**
 * Clusters by chance: namespaces, service accounts, pods, network sets, tiers, policies; and, where a plan asks for them,
 * staged and cluster policies, services and hosts.
 *
 * Everything comes from small pools, so that selectors select, nets contain and ports are hit. Every resource is valid.
 * Which pods there may be, with which addresses, is the caller's: a data plane under test keeps its links over all cases.
 */

import { parseAddress } from '../../src/lib/address.ts';
import type { Address } from '../../src/lib/brand.ts';
import type { Resource } from '../../src/model/types.ts';
import { clusterPolicyIn } from './generate-cluster-policy.ts';
import { type HostPlan, hostEndpointIn } from './generate-host.ts';
import { calicoPolicyIn, hostPolicyIn, kubernetesPolicyIn, profileIn } from './generate-policy.ts';
import { labelsFor, portNames, portNumbers, vocabulary, type World } from './generate-pools.ts';
import { endpointSliceIn } from './generate-services.ts';
import { stagedPolicyIn } from './generate-staged.ts';
import type { Random } from './random.ts';

/** A place for a pod: whether it is there, and what it is, differs from cluster to cluster. */
export interface PodPlace {
  readonly namespace: string;
  readonly name: string;
  readonly node: string;
  /** One IPv4, one IPv6. */
  readonly addresses: readonly Address[];
}

export interface ClusterPlan {
  readonly pods: readonly PodPlace[];
  /** Of nobody, but network sets and nets may hold them. */
  readonly outside: readonly Address[];
  /** Kinds that no cluster holds unless they are asked for. */
  readonly staged?: true;
  readonly clusterPolicies?: true;
  /** EndpointSlices, and rules about services. */
  readonly services?: true;
  /** Host endpoints, and policies about them. */
  readonly host?: HostPlan;
}

const namespaces = ['red', 'blue', 'green'] as const;
const serviceAccounts = ['default', 'robot'] as const;
const services = namespaces.flatMap((namespace) => ['api', 'db'].map((name) => ({ namespace, name })));

export const usualPlan: ClusterPlan = {
  pods: ['red/a', 'red/b', 'red/c', 'blue/a', 'blue/b', 'green/a', 'green/b'].map((path, i) => {
    const [namespace = '', name = ''] = path.split('/');
    const addresses = [parseAddress(`10.65.0.${i + 1}`), parseAddress(`fd65::${i + 1}`)];
    return { namespace, name, node: i % 3 === 2 ? 'n2' : 'n1', addresses };
  }),
  outside: ['192.0.2.10', '198.51.100.7', '2001:db8:1::10', '2001:db8:2::7'].map(parseAddress),
};

/** Everything there is: node n1 stands between its pods and two links. */
export const fullPlan: ClusterPlan & { readonly host: HostPlan } = {
  ...usualPlan,
  staged: true,
  clusterPolicies: true,
  services: true,
  host: {
    node: 'n1',
    links: [
      { name: 'eth0', addresses: ['172.16.0.1', 'fd16::1'], beyond: ['192.0.2.10', '2001:db8:1::10'] },
      { name: 'eth1', addresses: ['172.17.0.1', 'fd17::1'], beyond: ['198.51.100.7', '2001:db8:2::7'] },
    ].map(({ name, addresses, beyond }) => ({
      name,
      addresses: addresses.map(parseAddress),
      beyond: beyond.map(parseAddress),
    })),
  },
};

export interface Cluster {
  readonly resources: readonly Resource[];
  /** Pods that are there and have an endpoint. */
  readonly pods: readonly PodPlace[];
}

export function generateCluster(random: Random, plan: ClusterPlan): Cluster {
  const world: World = {
    random,
    addresses: [...plan.pods.flatMap((pod) => pod.addresses), ...plan.outside, ...ownAddresses(plan)],
    namespaces,
    serviceAccounts,
    isDense: random.chance(0.2),
    services: plan.services ? services : [],
    withHost: plan.host !== undefined,
  };
  const pods = random.some(plan.pods, Math.min(3, plan.pods.length), plan.pods.length);
  const made = pods.map((place) => podAt(random, place));
  const resources = [
    ...namespaces.filter(() => random.chance(0.94)).map((name) => namespace(random, name)),
    ...(random.chance(0.1) ? [profileIn(world, 'nobodys')] : []),
    ...namespaces.flatMap((name) => accountsOf(random, name)),
    ...made.map(({ resource }) => resource),
    ...random.times(0, 4, (i) => networkSet(world, i)),
    ...tiers(random),
    ...random.times(0, world.isDense ? 12 : 6, (i) => calicoPolicyIn(world, i)),
    ...random.times(0, 3, (i) => kubernetesPolicyIn(world, i)),
    ...(plan.staged ? random.times(0, 4, (i) => stagedPolicyIn(world, i)) : []),
    ...(plan.clusterPolicies ? random.times(0, 3, (i) => clusterPolicyIn(world, i)) : []),
    ...(plan.services ? random.times(0, 5, (i) => endpointSliceIn(world, i)) : []),
    ...hostResources(world, plan),
  ];
  return { resources: unique(resources), pods: pods.filter((_, i) => made[i]?.hasEndpoint === true) };
}

function ownAddresses({ host }: ClusterPlan): readonly Address[] {
  return host ? host.links.flatMap((link) => link.addresses) : [];
}

function hostResources(world: World, { host }: ClusterPlan): Resource[] {
  if (!host) return [];
  const { random } = world;
  const policies = random.times(0, 5, (i) => hostPolicyIn(world, i));
  return [...policies, ...random.times(0, 4, (i) => hostEndpointIn(world, host, i))];
}

function namespace(random: Random, name: string): Resource {
  return {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name, labels: labelsFor(random, vocabulary.namespace) },
  };
}

function accountsOf(random: Random, namespace: string): Resource[] {
  return serviceAccounts
    .filter(() => random.chance(0.85))
    .map((name) => ({
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { name, namespace, labels: labelsFor(random, vocabulary.serviceAccount) },
    }));
}

function podAt(random: Random, place: PodPlace): { resource: Resource; hasEndpoint: boolean } {
  const hostNetwork = random.chance(0.03);
  const phase = random.chance(0.04) ? random.pick(['Succeeded', 'Failed']) : 'Running';
  const forged = random.maybe(0.15, () => ({
    'pcns.team': 'x',
    'pcsa.role': 'r',
    'projectcalico.org/namespace': random.pick(namespaces),
  }));
  const resource: Resource = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: place.name,
      namespace: place.namespace,
      labels: { ...labelsFor(random, vocabulary.pod), ...forged },
    },
    spec: {
      nodeName: place.node,
      serviceAccountName: random.pick(serviceAccounts),
      containers: [{ name: 'main', ports: containerPorts(random) }],
      ...(hostNetwork ? { hostNetwork } : {}),
    },
    status: { phase, podIP: place.addresses[0], podIPs: place.addresses.map((ip) => ({ ip })) },
  };
  return { resource, hasEndpoint: !hostNetwork && phase === 'Running' };
}

function containerPorts(random: Random): object[] {
  return random.some(portNames, 0, portNames.length).map((name) => ({
    name,
    containerPort: random.pick(portNumbers),
    ...random.maybe(0.5, () => ({ protocol: random.pick(['TCP', 'UDP', 'UDP', 'SCTP']) })),
  }));
}

function networkSet(world: World, i: number): Resource {
  const { random } = world;
  const isGlobal = random.chance(0.5);
  return {
    apiVersion: 'projectcalico.org/v3',
    kind: isGlobal ? 'GlobalNetworkSet' : 'NetworkSet',
    metadata: {
      name: `set-${i}`,
      ...(isGlobal ? {} : { namespace: random.pick(namespaces) }),
      labels: labelsFor(random, vocabulary.pod),
    },
    spec: { nets: random.some([...vocabulary.nets[4], ...vocabulary.nets[6]], 0, 5) },
  };
}

/** `ghost` is never stored, yet policies name it. */
function tiers(random: Random): Resource[] {
  return ['first', 'second', 'third']
    .filter(() => random.chance(0.7))
    .map((name) => ({
      apiVersion: 'projectcalico.org/v3',
      kind: 'Tier',
      metadata: { name },
      spec: {
        ...random.maybe(0.85, () => ({ order: random.pick([1, 1, 500, 1_000, 2_000_000, 20_000_000]) })),
        ...random.maybe(0.7, () => ({ defaultAction: random.pick(['Deny', 'Pass', 'Pass']) })),
      },
    }));
}

/** A name is given by chance, so it may be given twice. */
function unique(resources: readonly Resource[]): Resource[] {
  const byName = new Map(
    resources.map((resource) => {
      const { apiVersion, kind, metadata } = resource;
      return [`${apiVersion}/${kind}/${metadata.namespace ?? ''}/${metadata.name}`, resource];
    }),
  );
  return [...byName.values()];
}
