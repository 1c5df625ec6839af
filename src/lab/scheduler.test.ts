// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Address, Cidr } from '../lib/brand.ts';
import type { PodView } from './pod-view.ts';
import { podView } from './pod-view.ts';
import { assign } from './scheduler.ts';

const pools = ['10.65.0.0/29', 'fd65::/64'] as Cidr[];
const nodes = ['node1', 'node2'];

function pod(name: string, change: Partial<PodView> = {}): PodView {
  return {
    uid: '',
    namespace: 'default',
    name,
    node: null,
    addresses: [],
    wanted: [],
    phase: '',
    hostNetwork: false,
    ports: [],
    ...change,
  };
}

test('a pod goes where the fewest are, with the next free address of each family', () => {
  const others = [pod('a', { node: 'node1', addresses: ['10.65.0.1', 'fd65::1'] as Address[] })];
  assert.deepEqual(assign(pod('b'), { nodes, pools, others }), {
    node: 'node2',
    addresses: ['10.65.0.2', 'fd65::2'],
  });
});

test('what its author chose is kept: node, annotation before status', () => {
  const chosen = pod('b', {
    node: 'node1',
    wanted: ['10.65.0.5'] as Address[],
    addresses: ['10.65.0.6'] as Address[],
  });
  assert.deepEqual(assign(chosen, { nodes, pools, others: [] }), { node: 'node1', addresses: ['10.65.0.5'] });
});

test('a pod that cannot run is refused with the reason', () => {
  const others = [pod('a', { node: 'node1', addresses: ['10.65.0.1'] as Address[] })];
  const refusal = (view: PodView, room = {}) => assign(view, { nodes, pools, others, ...room });
  assert.deepEqual(refusal(pod('b', { node: 'node9' })), {
    refused: 'node node9 is not one of node1, node2',
  });
  assert.deepEqual(refusal(pod('b', { wanted: ['10.65.0.1'] as Address[] })), {
    refused: "address 10.65.0.1 is default/a's",
  });
  assert.deepEqual(refusal(pod('b'), { pools: [] }), { refused: 'there is no pool to take an address from' });
  assert.deepEqual(refusal(pod('b'), { pools: ['10.65.0.0/31'] }), {
    refused: 'no free IPv4 address in 10.65.0.0/31',
  });
});

test('a pod’s manifest is read for what running it takes', () => {
  const view = podView({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: 'a',
      namespace: 'x',
      uid: 'u-1',
      annotations: { 'cni.projectcalico.org/ipAddrs': '["10.65.0.7"]' },
    },
    spec: {
      nodeName: 'node1',
      containers: [
        {
          ports: [
            { containerPort: 80 },
            { containerPort: 53, protocol: 'UDP' },
            { containerPort: 9, protocol: 'SCTP' },
          ],
        },
        {},
      ],
    },
    status: { phase: 'Running', podIP: '10.65.0.8', podIPs: [{ ip: '10.65.0.8' }, { ip: 'FD65::8' }] },
  });
  assert.deepEqual(view, {
    namespace: 'x',
    name: 'a',
    uid: 'u-1',
    node: 'node1',
    addresses: ['10.65.0.8', 'fd65::8'],
    wanted: ['10.65.0.7'],
    phase: 'Running',
    hostNetwork: false,
    ports: [
      { protocol: 'TCP', port: 80 },
      { protocol: 'UDP', port: 53 },
    ],
  });
});
