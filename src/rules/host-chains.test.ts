// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultDataplaneConfig } from '../contract/config.ts';
import { allHostPlaces, hostPlaceSteps, sharedHostChains } from './host-chains.ts';
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
