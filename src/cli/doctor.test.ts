// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findingsOf, type HostFacts } from './doctor.ts';

const feature = (name: string, present: boolean, value = '') => ({
  name,
  present,
  value,
  neededFor: 'work',
  since: 'Linux 6.6',
  without: 'it is slower',
});
const well: HostFacts = {
  release: '6.18.0',
  runsSince69: true,
  features: [
    feature('tcx', true),
    feature('btf', true),
    feature('cgroup2', true, '/sys/fs/cgroup'),
    feature('jit harden', true, '0'),
  ],
  rpFilters: { all: '0', eth0: '2' },
  missingObjects: [],
  programs: [],
  tables: ['ip muslin'],
};
const not = (facts: Partial<HostFacts>, dataplane: 'nftables' | 'ebpf' = 'ebpf') =>
  findingsOf(dataplane, { ...well, ...facts })
    .filter(({ state }) => state !== 'ok')
    .map(({ check, state, found }) => `${state} ${check}: ${found}`);

test('a host that has all is well for both', () => {
  assert.deepEqual([not({}), not({}, 'nftables')], [[], []]);
});

test('what a data plane cannot be without is missing, what is made up for is a note', () => {
  const without = {
    features: [
      feature('tcx', false),
      feature('btf', false),
      feature('cgroup2', false),
      feature('jit', false),
    ],
  };
  assert.deepEqual(not(without), [
    'note tcx: clsact',
    'missing btf: not there',
    'note cgroup2: not there',
    'note jit: not there',
  ]);
  assert.deepEqual(not(without, 'nftables'), ['note tcx: clsact']);
  const old = { release: '6.6.1', runsSince69: false };
  assert.deepEqual([not(old), not(old, 'nftables')], [[], ['missing kernel: 6.6.1']]);
  assert.deepEqual(not({ missingObjects: ['bpf/build/sweep.o'] }), [
    'missing programs: not compiled: bpf/build/sweep.o',
  ]);
});

test('what stands in the way is a note', () => {
  assert.deepEqual(not({ features: [feature('jit harden', true, '2')] }), ['note jit harden: 2']);
  assert.deepEqual(not({ rpFilters: { all: '1', eth0: '1', lo: '0' } }), [
    'note rp_filter: strict on all, eth0',
  ]);
  assert.deepEqual(not({ programs: ['eth0 ingress: cil_from_netdev'] }), [
    'note other programs: eth0 ingress: cil_from_netdev',
  ]);
  assert.deepEqual(not({ tables: ['ip kube-proxy', 'ip6 kube-proxy', 'ip calico'] }), [
    'note nftables kube-proxy: ip kube-proxy, ip6 kube-proxy',
    'note nftables calico: ip calico',
  ]);
});
