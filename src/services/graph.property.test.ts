// SPDX-License-Identifier: Apache-2.0
/** What was said by and by comes to what a graph says that is told the end alone, whatever came before. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { corrupted } from '../../test/hostile/corrupt.ts';
import { Random, seedOfRun } from '../../test/support/random.ts';
import {
  type EndpointShort,
  kubernetesNode,
  type ServiceShort,
  service,
  slice,
  Translations,
} from '../../test/support/services.ts';
import type { ResourceChange } from '../contract/datastore.ts';
import { keyOf, keyPath } from '../model/kinds.ts';
import type { Resource } from '../model/types.ts';
import { ServiceGraph } from './graph.ts';

// Small alphabets, so that names, addresses and ports meet.
const names = ['a/x', 'a/y', 'b/x'] as const;
const nodes = ['here', 'there', 'far'] as const;
const zones = ['west', 'east'] as const;
const pods4 = ['10.65.0.1', '10.65.0.2', '10.65.0.3'] as const;
const pods6 = ['fd65::1', 'fd65::2'] as const;
const apps = ['one', 'two'] as const;

function someService(random: Random): Resource {
  const policy = () => random.pick(['Cluster', 'Local']);
  const spec: ServiceShort = {
    type: random.pick(['ClusterIP', 'NodePort', 'LoadBalancer', 'LoadBalancer', 'ExternalName']),
    clusterIPs: random.some(['10.96.0.1', '10.96.0.2', 'fd96::1'], 0, 2),
    ports: random.times(1, 2, (i) => ({
      name: i === 0 ? 'p' : 'q',
      port: random.pick([80, 81]),
      targetPort: random.pick([8080, 'http']),
      ...random.maybe(0.5, () => ({ nodePort: random.pick([30080, 30081]) })),
    })),
    internalTrafficPolicy: policy(),
    externalTrafficPolicy: policy(),
    externalIPs: random.some(['192.0.2.1', '192.0.2.2'], 0, 2),
    healthCheckNodePort: random.pick([0, 32000]),
    ...random.maybe(0.3, () => ({ sessionAffinity: 'ClientIP' })),
    ...random.maybe(0.5, () => ({ selector: { app: random.pick(apps) } })),
    ...random.maybe(0.3, () => ({ trafficDistribution: random.pick(['PreferSameZone', 'PreferSameNode']) })),
    ...random.maybe(0.3, () => ({ loadBalancerSourceRanges: ['203.0.113.0/24'] })),
    ...random.maybe(0.7, () => ({ created: `2026-01-0${1 + random.below(3)}T00:00:00Z` })),
    ...random.maybe(0.2, () => ({
      annotations: { 'lb.projectcalico.org/external-traffic-strategy': 'maglev' },
    })),
    status: { loadBalancer: { ingress: random.some(['198.51.100.1'], 0, 1).map((ip) => ({ ip })) } },
  };
  return service(random.pick(names), spec);
}

function someSlice(random: Random): Resource {
  const addresses = random.chance(0.7) ? random.some(pods4, 0, 3) : random.some(pods6, 0, 2);
  const endpoints = Object.fromEntries(addresses.map((address) => [address, someEndpoint(random)]));
  const ports = random.times(1, 2, (i) => ({ name: i === 0 ? 'p' : 'q', port: random.pick([8080, 8081]) }));
  return slice(random.pick(['s', 't']), { of: random.pick(names), ports }, endpoints);
}

function someEndpoint(random: Random): EndpointShort {
  return {
    ready: random.chance(0.6),
    serving: random.chance(0.8),
    terminating: random.chance(0.3),
    ...random.maybe(0.8, () => ({ node: random.pick(nodes) })),
    ...random.maybe(0.7, () => ({ zones: random.some(zones, 0, 2) })),
    ...random.maybe(0.3, () => ({ nodes: random.some(nodes, 0, 2) })),
  };
}

function somePod(random: Random): Resource {
  const [namespace, name] = [random.pick(['a', 'b']), random.pick(['p', 'q', 'r'])];
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { namespace, name, labels: { app: random.pick(apps) } },
    spec: {
      nodeName: random.pick(nodes),
      containers: [{ ports: [{ name: 'http', containerPort: random.pick([8080, 8081]) }] }],
    },
    status: { phase: random.pick(['Running', 'Pending', 'Failed']), podIPs: [{ ip: random.pick(pods4) }] },
  };
}

function someSetting(random: Random): Resource {
  const spec = { bpfExternalServiceMode: random.pick(['DSR', 'Tunnel']) };
  return {
    apiVersion: 'projectcalico.org/v3',
    kind: 'FelixConfiguration',
    metadata: { name: 'default' },
    spec,
  };
}

function someResource(random: Random): Resource {
  const make = random.pick([
    someService,
    someService,
    someSlice,
    someSlice,
    somePod,
    someSetting,
    () => kubernetesNode(random.pick(nodes), random.pick(zones), [random.pick(['172.30.0.1', '172.30.0.2'])]),
  ]);
  return make(random);
}

function outcomeOf(graph: ServiceGraph, told: Translations): unknown {
  const services = [...told.services].sort(([a], [b]) => (a < b ? -1 : 1));
  return { config: told.config, services, checks: graph.healthChecks(), faults: graph.faults() };
}

function freshOutcome(changes: Iterable<ResourceChange>): unknown {
  const graph = new ServiceGraph({ node: 'here' });
  const told = new Translations();
  graph.onResources([...changes]);
  graph.onStatus('in-sync');
  graph.flush(told.hear);
  return outcomeOf(graph, told);
}

/** Flushes now and then, sometimes in pieces with changes between them; afterwards the end state in any order. */
function history(random: Random, harm: (resource: Resource) => Resource): void {
  const graph = new ServiceGraph({ node: 'here' });
  const told = new Translations();
  const present = new Map<string, ResourceChange>();
  const inSyncAt = random.below(20);
  for (let step = 0; step < 60; step++) {
    if (step === inSyncAt) graph.onStatus('in-sync');
    const resource = someResource(random);
    const key = keyOf(resource);
    const change = { key, resource: random.chance(0.25) ? null : harm(resource) };
    graph.onResources([change]);
    if (change.resource === null) present.delete(keyPath(key));
    else present.set(keyPath(key), change); // 0 and '' are harmed resources, not absent ones
    if (random.chance(0.5)) graph.flush(told.hear, () => random.chance(0.3));
  }
  graph.onStatus('in-sync');
  while (!graph.flush(told.hear));
  const shuffled = [...present.values()].sort(() => random.below(3) - 1);
  assert.deepEqual(outcomeOf(graph, told), freshOutcome(shuffled));
}

/** A store may hold anything, but not nothing. */
function harmed(random: Random, resource: Resource): Resource {
  return (corrupted(random, resource, () => someResource(random)) ?? {}) as Resource;
}

test('any order of updates equals recompute', () => {
  const random = new Random(seedOfRun('services: any order equals recompute'));
  for (let run = 0; run < 300; run++) history(random, (resource) => resource);
});

test('harmed resources never stop the others, and leave no trace when they go', () => {
  const random = new Random(seedOfRun('services: harmed resources'));
  for (let run = 0; run < 300; run++)
    history(random, (resource) => (random.chance(0.4) ? harmed(random, resource) : resource));
});
