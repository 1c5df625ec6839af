// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ChainMachine, type Way } from '../../test/support/chain-machine.ts';
import { resolvedTier, stateOf } from '../../test/support/compiled.ts';
import { defaultDataplaneConfig } from '../contract/config.ts';
import type { ResolvedHostEndpoint } from '../contract/dataplane.ts';
import { parseAddress } from '../lib/address.ts';
import type { Packet } from '../observe/packet-match.ts';
import { rule } from './chain.ts';
import {
  allHostPlaces,
  type HostPlace,
  hostEndpointSteps,
  hostPlaceSteps,
  hostPlaces,
  sharedHostChains,
  tiersAt,
} from './host-chains.ts';
import { hookChains, staticChains } from './static-chains.ts';

const options = { interfacePrefix: 'cali', config: defaultDataplaneConfig };
const forward = (hasHosts: boolean) =>
  staticChains(4, { ...options, hasHosts }, []).find(({ name }) => name === hookChains.forward)?.steps ?? [];

test('what host policy allowed counts for nothing at a workload: its mark is cleared first', () => {
  const clear = forward(true).findIndex((step) => step.kind === 'rule' && step.action.kind === 'clear-mark');
  const workloads = forward(true).findIndex(
    (step) => step.kind === 'rule' && step.action.kind === 'dispatch',
  );
  assert.ok(clear >= 0 && clear < workloads);
  assert.equal(forward(false).length, forward(true).length - 1, 'and costs nothing without hosts');
});

test('neighbour discovery passes where packets end or start, never where they are forwarded', () => {
  const passes = allHostPlaces.filter((place) =>
    hostPlaceSteps(place, 6, { interfacePrefix: 'cali', others: null }).some(
      (step) => step.kind === 'rule' && step.action.kind === 'jump' && step.action.chain === 'x-neighbour',
    ),
  );
  assert.deepEqual(passes, ['untracked-in', 'untracked-out', 'pre-dnat', 'input', 'output']);
});

test('failsafe ports of one family do not open the other', () => {
  const net = '10.0.0.0/8' as NonNullable<(typeof defaultDataplaneConfig.failsafeInbound)[number]['net']>;
  const config = { ...defaultDataplaneConfig, failsafeInbound: [{ protocol: 6, port: 22, net }] };
  const rulesOf = (family: 4 | 6) =>
    sharedHostChains(family, config).find(({ name }) => name === 'x-failsafe-in')?.steps.length;
  assert.deepEqual([rulesOf(4), rulesOf(6)], [1, 0]);
});

/** In which places a packet gets past an endpoint there that denies all. */
function placesPassed(way: Omit<Way, 'dispatch'>, packet: Partial<Packet> = {}): HostPlace[] {
  const http: Packet = {
    ipVersion: 4,
    protocol: 6,
    src: parseAddress('192.0.2.1'),
    dst: parseAddress('172.16.0.1'),
    srcPort: 40000,
    dstPort: 80,
  };
  return allHostPlaces.filter((place) => {
    const { direction, map } = hostPlaces[place];
    const link = direction === 'ingress' ? way.in : way.out;
    const chains = [
      { name: 'base', steps: hostPlaceSteps(place, 4, { interfacePrefix: 'cali', others: 'endpoint' }) },
      { name: 'endpoint', steps: hostEndpointSteps(place, 'closed', defaultDataplaneConfig) },
      { name: 'closed', steps: [rule([], { kind: 'drop' })] },
      ...sharedHostChains(4, defaultDataplaneConfig),
    ];
    const dispatch = new Map(link === 'eth0' ? [[`${map} eth0`, 'endpoint']] : []);
    const machine = new ChainMachine(chains, new Map(), stateOf({}), { ...way, dispatch });
    return machine.run('base', { ...http, ...packet }) !== 'drop';
  });
}

const through = { in: 'eth0', out: 'eth0' };
const own = { ...through, in: '' };

test('what each place does not look at: replies, what an earlier place accepted, what was forwarded already', () => {
  assert.deepEqual(placesPassed(through), ['output'], 'forwarded packets meet no normal egress');
  assert.deepEqual(placesPassed(own).includes('output'), false);
  // of the host's input the base chain passes replies, as for workloads
  assert.deepEqual(placesPassed({ ...own, connection: 'established' }), [
    ...['pre-dnat', 'output', 'forward-in', 'forward-out'],
  ]);
  assert.deepEqual(placesPassed({ ...own, marks: ['host-accepted'] }), [
    ...['pre-dnat', 'input', 'output', 'forward-in'],
  ]);
});

test('failsafe ports are open in every place but for what is forwarded; replies of theirs before connection tracking', () => {
  const failsafes = (sent: Partial<Packet>) => placesPassed(own, sent);
  assert.deepEqual(failsafes({ dstPort: 22 }), ['untracked-in', 'pre-dnat', 'input']);
  assert.deepEqual(failsafes({ protocol: 17, dstPort: 53 }), ['untracked-out', 'output']);
  assert.deepEqual(failsafes({ srcPort: 22 }), ['untracked-out']);
  assert.deepEqual(failsafes({ protocol: 17, srcPort: 53 }), ['untracked-in']);
});

test('an endpoint of all others has no say about workloads and the loopback', () => {
  const anyOther = (link: string) => placesPassed({ in: link, out: link });
  assert.deepEqual(anyOther('eth7'), ['output']);
  assert.deepEqual(anyOther('cali1'), allHostPlaces);
  assert.deepEqual(anyOther('lo'), allHostPlaces);
});

test('the end of a tier drops where connections are tracked and translated, and not before', () => {
  const tiers = [resolvedTier('t', 'deny', ['p'], ['p'])];
  const endpoint = {
    tiers,
    forward: tiers,
    untracked: tiers,
    preDnat: tiers,
  } as unknown as ResolvedHostEndpoint;
  const dropping = allHostPlaces.filter((place) => tiersAt(endpoint, place)[0]?.defaultAction === 'deny');
  assert.deepEqual(dropping, ['input', 'output', 'forward-in', 'forward-out']);
});

test('what early policy allows is marked for later places; untracked policy takes it from connection tracking', () => {
  const actions = (name: string) =>
    sharedHostChains(4, defaultDataplaneConfig)
      .find((chain) => chain.name === name)
      ?.steps.map((step) => (step.kind === 'rule' ? step.action.kind : step.kind));
  assert.deepEqual(actions('x-untracked'), ['set-mark', 'untrack', 'accept']);
  assert.deepEqual(actions('x-pre-dnat'), ['set-mark', 'accept']);
});
