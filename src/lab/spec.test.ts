// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InvalidError } from '../lib/errors.ts';
import { labSpec, numberedNodes, parseLabFile } from './spec.ts';

test('an empty lab file is three nodes with the default pools', () => {
  assert.deepEqual(parseLabFile('lab.yaml', ''), {
    dataplane: 'nftables',
    datastore: 'embedded',
    nodes: ['node1', 'node2', 'node3'],
    pools: ['10.65.0.0/16', 'fd65::/64'],
    manifests: [],
    workloads: [],
  });
});

test('everything that can be said is read', () => {
  const text = `
dataplane: ebpf
datastore: etcd
nodes: [left, right]
pools: [10.1.0.0/24]
manifests: [a.yaml]
workloads:
  - {name: web, namespace: shop, labels: {app: web}, ports: [80], node: left, addresses: [10.1.0.9]}
  - {name: db}
`;
  assert.deepEqual(parseLabFile('lab.yaml', text), {
    dataplane: 'ebpf',
    datastore: 'etcd',
    nodes: ['left', 'right'],
    pools: ['10.1.0.0/24'],
    manifests: ['a.yaml'],
    workloads: [
      {
        name: 'web',
        namespace: 'shop',
        labels: { app: 'web' },
        ports: [80],
        node: 'left',
        addresses: ['10.1.0.9'],
      },
      { name: 'db', namespace: 'default', labels: {}, ports: [], addresses: [] },
    ],
  });
});

test('every fault is told with its place', () => {
  const text =
    'nodes: 0\npools:\n  - 10.0.0.0/33\nworkload: []\nworkloads:\n  - name: Bad_Name\n    ports: [70000]\ndataplane: tarot\n';
  assert.throws(
    () => parseLabFile('lab.yaml', text),
    (error) => {
      assert.ok(error instanceof InvalidError);
      const places = error.faults.map(({ path, line, column }) => `${line}:${column} ${path}`).sort();
      assert.deepEqual(places, [
        '1:8 nodes',
        '3:5 pools.0',
        '4:11 workload',
        '6:11 workloads.0.name',
        '7:13 workloads.0.ports.0',
        '8:12 dataplane',
      ]);
      return true;
    },
  );
  assert.throws(() => parseLabFile('lab.yaml', 'nodes: ['), InvalidError);
});

test('each node has an address of each family on the fabric', () => {
  const { nodes, dataplane } = labSpec(numberedNodes(2), []);
  assert.equal(dataplane, 'nftables');
  assert.deepEqual(nodes[1], { name: 'node2', addresses: ['172.30.65.12', 'fd30:65::c'] });
  assert.throws(() => labSpec(numberedNodes(201), []), InvalidError);
});

test('a node is named once', () => {
  assert.throws(
    () => parseLabFile('lab.yaml', 'nodes: [a, b, a]'),
    (error) => {
      assert.ok(error instanceof InvalidError);
      assert.deepEqual(
        error.faults.map(({ path, message, column }) => ({ path, message, column })),
        [{ path: 'nodes.2', message: 'got "a" again, want each node once', column: 15 }],
      );
      return true;
    },
  );
});
