// SPDX-License-Identifier: Apache-2.0
/**
 * Who writes policies past any client, as OpenStack's driver does, says neither tier nor types nor order, and names them as it
 * likes: from the store to a verdict they mean what the API would have filled in.
 *
 * @see networking-calico, plugins/ml2/drivers/calico/policy.py: what a security group becomes
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { buildGraph } from '../../src/calc/graph.ts';
import { EmbeddedStore } from '../../src/datastore/embedded/store.ts';
import { StoreSyncer } from '../../src/datastore/syncer.ts';
import { parseAddress } from '../../src/lib/address.ts';
import type { KeyPath } from '../../src/lib/brand.ts';
import { keyOf } from '../../src/model/kinds.ts';
import type { Resource } from '../../src/model/types.ts';
import { DataplaneState } from '../../src/observe/dataplane-state.ts';
import { explain, type Party } from '../../src/observe/explain.ts';
import { evaluatorsDecider } from '../support/opinions.ts';

type Json = { readonly [field: string]: unknown };

const label = 'sg.projectcalico.org/openstack-web';

function stored(kind: string, name: string, spec: Json, labels: { [key: string]: string } = {}): Resource {
  const metadata = { name, labels, ...(kind === 'Profile' ? {} : { namespace: 'openstack' }) };
  return { apiVersion: 'projectcalico.org/v3', kind, metadata, spec };
}

const machine = stored(
  'WorkloadEndpoint',
  'n1-openstack-vm-port',
  {
    orchestrator: 'openstack',
    node: 'n1',
    workload: 'vm',
    endpoint: 'port',
    interfaceName: 'tap1',
    ipNetworks: ['10.0.0.1/32', 'fd00::1/128'],
    profiles: ['open'],
  },
  { [label]: '' },
);
const open = stored('Profile', 'open', { ingress: [{ action: 'Allow' }], egress: [{ action: 'Allow' }] });
const group = {
  selector: `has(${label})`,
  ingress: [
    { action: 'Allow', ipVersion: 4, protocol: 'TCP', destination: { ports: [80, '8000:8080'] } },
    { action: 'Allow', ipVersion: 4, protocol: 'ICMP', icmp: { type: 8 } },
  ],
  egress: [{ action: 'Allow', ipVersion: 4, destination: { nets: ['0.0.0.0/0'] } }],
};
const allow = { action: 'Allow' };

/** What node n1 holds when its agent has read the store. */
async function stateFrom(resources: readonly Resource[]): Promise<DataplaneState> {
  const folder = mkdtempSync(join(tmpdir(), 'muslin-raw-'));
  try {
    await using store = new EmbeddedStore(join(folder, 'db'));
    for (const resource of resources) await store.create(keyOf(resource), resource);
    const graph = buildGraph({ node: 'n1' });
    const stop = new AbortController();
    const onFaults = (_: unknown, faults: readonly unknown[]) => assert.deepEqual(faults, []);
    await new StoreSyncer(store, { onFaults }).run(
      {
        onUpdates: (updates) => graph.onUpdates(updates),
        onStatus: (status) => {
          graph.onStatus(status);
          if (status === 'in-sync') stop.abort();
        },
      },
      stop.signal,
    );
    const state = DataplaneState.from([]);
    graph.flush((message) => state.apply(message));
    return state;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

interface Sent {
  readonly protocol?: number;
  readonly port?: number;
  readonly ipVersion?: 4 | 6;
}

/** By whom, in the oracle's words. */
function fate(state: DataplaneState, way: 'in' | 'out', sent: Sent = {}): string {
  const { protocol = 6, port = 80, ipVersion = 4 } = sent;
  const outside = parseAddress(ipVersion === 4 ? '192.0.2.1' : '2001:db8::1');
  const far: Party = { kind: 'address', address: outside };
  const id = 'CalicoWorkloadEndpoint/openstack/n1-openstack-vm-port' as KeyPath;
  const vm: Party = { kind: 'endpoint', state, id };
  const head = protocol === 1 ? { icmpType: 8, icmpCode: 0 } : { srcPort: 40000, dstPort: port };
  const [from, to] = way === 'in' ? [far, vm] : [vm, far];
  const { ingress, egress } = explain(from, to, { protocol, ipVersion, ...head });
  return evaluatorsDecider(way === 'in' ? ingress : egress);
}

const name = 'ossg.default.web';
const path = `NetworkPolicy/openstack/${name}`;

test('a security group as OpenStack stores it: default tier, both directions by its rules', async () => {
  const state = await stateFrom([machine, open, stored('NetworkPolicy', name, group)]);
  const byGroup = `allow by ${path} in default`;
  const closed = 'deny at the end of default';
  assert.equal(fate(state, 'in'), byGroup);
  assert.equal(fate(state, 'in', { port: 8010 }), byGroup);
  assert.equal(fate(state, 'in', { port: 81 }), closed);
  assert.equal(fate(state, 'in', { protocol: 1 }), byGroup);
  assert.equal(fate(state, 'in', { ipVersion: 6 }), closed);
  assert.equal(fate(state, 'out'), byGroup);
  assert.equal(fate(state, 'out', { ipVersion: 6 }), closed);
});

test('types follow from the number of rules also where nobody filled them in; null is absent', async () => {
  const byProfile = 'allow by profile open';
  const fates = async (spec: Json) => {
    const policy = stored('NetworkPolicy', name, { selector: `has(${label})`, ...spec });
    const state = await stateFrom([machine, open, policy]);
    return [fate(state, 'in'), fate(state, 'out')];
  };
  const closed = 'deny at the end of default';
  const byGroup = `allow by ${path} in default`;
  assert.deepEqual(await fates({ ingress: [], egress: [] }), [closed, byProfile]);
  assert.deepEqual(await fates({ ingress: [allow], egress: [] }), [byGroup, byProfile]);
  assert.deepEqual(await fates({ ingress: [], egress: [allow] }), [byProfile, byGroup]);
  assert.deepEqual(await fates({ tier: null, order: null, types: null, ingress: [allow] }), [
    byGroup,
    byProfile,
  ]);
});

test('without order a policy is the last of its tier; names of older forms are names', async () => {
  const all = (rules: Json) => ({ selector: 'all()', ...rules });
  const late = stored(
    'NetworkPolicy',
    'z',
    all({ order: 1e12, ingress: [{ action: 'Deny', protocol: 'UDP' }] }),
  );
  const older = stored('NetworkPolicy', 'knp.default.a', all({ ingress: [allow] }));
  const state = await stateFrom([machine, open, late, older]);
  assert.equal(fate(state, 'in', { protocol: 17 }), 'deny by NetworkPolicy/openstack/z in default');
  assert.equal(fate(state, 'in'), 'allow by NetworkPolicy/openstack/knp.default.a in default');
});
