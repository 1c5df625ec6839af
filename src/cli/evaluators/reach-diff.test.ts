// SPDX-License-Identifier: Apache-2.0
/** Generated clusters: what the difference says of each pair is what `explain` says before and after. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fullPlan, generateCluster } from '../../../test/support/generate.ts';
import { Random, seedOfRun } from '../../../test/support/random.ts';
import { protocolName } from '../../lib/protocol.ts';
import type { Resource } from '../../model/types.ts';
import { explain } from '../../observe/explain.ts';
import { withStaged } from '../../observe/tier-view.ts';
import { type Cluster, clusterOf } from './cluster.ts';
import { packetsThatMatter } from './packets-that-matter.ts';
import { placedParty } from './parties.ts';
import { reachDiff } from './reach-diff.ts';
import { type PacketKind, Reachability } from './reachability.ts';

const seed = seedOfRun('differences');

function policiesOf(resources: readonly Resource[]): readonly Resource[] {
  return resources.filter(({ kind }) => kind.endsWith('Policy') || kind === 'Tier');
}

/** The hosts' addresses, as a Node says them. */
function nodeResources(): readonly Resource[] {
  return ['n1', 'n2'].map((name, i) => ({
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name },
    status: { addresses: [{ type: 'InternalIP', address: `172.16.0.${i + 1}` }] },
  }));
}

function verdict(
  cluster: Cluster,
  from: string,
  to: string,
  { port, ...head }: PacketKind,
  staged: boolean,
): boolean {
  const probe = port === undefined ? head : { ...head, dstPort: port };
  const explanation = explain(placedParty(cluster, from), placedParty(cluster, to), probe);
  return (staged ? (explanation.pending ?? explanation) : explanation).allowed;
}

test('a difference is what explain says after, where that is not what it says before', () => {
  let changed = 0;
  for (let number = 0; number < 40; number++) {
    const random = new Random(seed * 100_003 + number);
    const [one, two] = [generateCluster(random, fullPlan), generateCluster(random, fullPlan)];
    const others = one.resources.filter((each) => !policiesOf([each]).length);
    const clusters = [
      clusterOf([...others, ...nodeResources(), ...policiesOf(one.resources)]),
      clusterOf([...others, ...nodeResources(), ...policiesOf(two.resources)]),
    ] as const;
    const [before, after] = clusters;
    const hosts = before.nodes.differ ? ['host/n1', 'host/n2'] : [];
    const names = [...[...before.state.endpoints.values()].map(({ name }) => name), ...hosts];
    const packets = random.some(
      packetsThatMatter(clusters, one.resources).filter(({ ipVersion }) => ipVersion === 4),
      4,
      8,
    );
    const staged = random.chance(0.5);
    const reach = new Reachability(after, names, packets, staged ? withStaged : undefined);
    const changes = reachDiff(names, packets, new Reachability(before, names, packets), reach);
    const said = changes.flatMap(({ change, packets: kinds, pairs }) =>
      kinds.flatMap((packet) => pairs.map(({ from, to }) => `${from} ${to} ${text(packet)} ${change}`)),
    );
    const wanted = packets.flatMap((packet) =>
      names.flatMap((from) =>
        names.flatMap((to) => {
          const is = verdict(after, from, to, packet, staged);
          const isNews = from !== to && is !== verdict(before, from, to, packet, false);
          return isNews ? [`${from} ${to} ${text(packet)} ${is ? 'allowed' : 'denied'}`] : [];
        }),
      ),
    );
    assert.deepEqual(said.sort(), wanted.sort(), `repeat with MUSLIN_SEED=${seed}, cluster ${number}`);
    changed += said.length;
  }
  assert.ok(changed > 100, `${changed} changes`);
});

function text({ ipVersion, protocol, port, icmpType, icmpCode }: PacketKind): string {
  return [ipVersion, protocolName(protocol), port, icmpType, icmpCode].join('/');
}

test('the packets that matter: ports that rules, pods and services name, the ends of ranges, and one that nobody does', () => {
  const pod: Resource = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web', namespace: 'shop' },
    spec: { nodeName: 'n1', containers: [{ name: 'c', ports: [{ containerPort: 8080 }] }] },
    status: { podIP: '10.0.0.1' },
  };
  const policy: Resource = {
    apiVersion: 'projectcalico.org/v3',
    kind: 'GlobalNetworkPolicy',
    metadata: { name: 'p' },
    spec: {
      ingress: [
        { action: 'Allow', protocol: 'TCP', destination: { ports: [80, '90:95'] } },
        { action: 'Deny', protocol: 'SCTP', destination: { notPorts: [7] } },
        { action: 'Deny', protocol: 47 },
        { action: 'Deny', protocol: 'ICMP', icmp: { type: 13 } },
      ],
    },
  };
  const resources = [pod, policy];
  const packets = packetsThatMatter([clusterOf(resources)], resources).map(text);
  assert.deepEqual(packets, [
    '4/TCP/79//',
    '4/TCP/80//',
    '4/TCP/90//',
    '4/TCP/95//',
    '4/TCP/8080//',
    '4/UDP/9//',
    '4/SCTP/6//',
    '4/SCTP/7//',
    '4/ICMP//8/0',
    '4/ICMP//13/0',
    '4/47///',
  ]);
});
