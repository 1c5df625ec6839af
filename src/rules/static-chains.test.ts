// SPDX-License-Identifier: Apache-2.0
/** Where a workload's packets go by the chains that every node has: before, beside and after its policy. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ChainMachine, type Way } from '../../test/support/chain-machine.ts';
import { stateOf } from '../../test/support/compiled.ts';
import { defaultDataplaneConfig } from '../contract/config.ts';
import type { DataplaneConfig } from '../contract/dataplane.ts';
import { parseAddress } from '../lib/address.ts';
import type { Packet } from '../observe/packet-match.ts';
import type { Chain } from './chain.ts';
import { rule } from './chain.ts';
import { endpointSteps, type Hook, hookChains, staticChains } from './static-chains.ts';

const http: Packet = {
  ipVersion: 4,
  protocol: 6,
  src: parseAddress('10.0.0.1'),
  dst: parseAddress('10.0.0.2'),
  srcPort: 40000,
  dstPort: 80,
};
const icmp6 = (icmpType: number): Packet => ({
  ipVersion: 6,
  protocol: 58,
  src: parseAddress('fd00::1'),
  dst: parseAddress('fd00::2'),
  icmpType,
  icmpCode: 0,
});

/** Both endpoints are open both ways, unless the name says otherwise. */
const dispatch = new Map([
  ['d-from caliA', 'from'],
  ['d-to caliB', 'to'],
  ['d-from caliClosed', 'from-closed'],
  ['d-to caliClosed', 'to-closed'],
  ['d-from caliDown', 'from-down'],
  ['d-to caliDown', 'to-down'],
]);

function chainsOf(family: 4 | 6, config: DataplaneConfig): Chain[] {
  const steps = (direction: 'ingress' | 'egress', first: string, isUp = true) =>
    endpointSteps(direction, first, isUp, config);
  return [
    ...staticChains(family, { interfacePrefix: 'cali', config, hasHosts: false }, []),
    { name: 'from', steps: steps('egress', 'x-allowed') },
    { name: 'to', steps: steps('ingress', 'x-accept') },
    { name: 'from-closed', steps: steps('egress', 'closed') },
    { name: 'to-closed', steps: steps('ingress', 'closed') },
    { name: 'from-down', steps: steps('egress', 'x-allowed', false) },
    { name: 'to-down', steps: steps('ingress', 'x-accept', false) },
    { name: 'closed', steps: [rule([], { kind: 'drop' })] },
  ];
}

interface Sent extends Omit<Way, 'dispatch'> {
  readonly hook?: Hook;
  readonly packet?: Partial<Packet>;
  readonly config?: Partial<DataplaneConfig>;
}

/** What falls out of a hook is accepted: others' rules decide. */
function fate({ hook = 'forward', packet, config, ...way }: Sent): 'accept' | 'drop' {
  const whole = { ...http, ...packet };
  const chains = chainsOf(whole.ipVersion, { ...defaultDataplaneConfig, ...config });
  const machine = new ChainMachine(chains, new Map(), stateOf({}), { ...way, dispatch });
  const outcome = machine.run(hookChains[hook], whole);
  return outcome === 'end' ? 'accept' : outcome;
}

test('forwarded packets meet the policy of both workloads; a link that is nobody’s is closed', () => {
  const table: readonly (readonly [string, string, 'accept' | 'drop'])[] = [
    ['caliA', 'caliB', 'accept'],
    ['caliA', 'eth0', 'accept'],
    ['eth0', 'caliB', 'accept'],
    ['eth0', 'eth1', 'accept'],
    ['caliClosed', 'caliB', 'drop'],
    ['caliA', 'caliClosed', 'drop'],
    ['caliUnknown', 'eth0', 'drop'],
    ['eth0', 'caliUnknown', 'drop'],
    ['caliA', 'caliUnknown', 'drop'],
  ];
  for (const [link, out, expected] of table)
    assert.equal(fate({ in: link, out }), expected, `${link} ${out}`);
});

test('replies pass before policy; what is invalid is dropped, unless that is switched off', () => {
  const reply = { connection: 'established' } as const;
  assert.equal(fate({ in: 'caliClosed', out: 'caliClosed', ...reply }), 'accept');
  assert.equal(fate({ hook: 'input', in: 'caliClosed', ...reply }), 'accept');
  const invalid = { connection: 'invalid' } as const;
  const lax = { dropInvalid: false };
  for (const way of [
    { in: 'caliA', out: 'eth0' },
    { in: 'eth0', out: 'caliB' },
  ]) {
    assert.equal(fate({ ...way, ...invalid }), 'drop');
    assert.equal(fate({ ...way, ...invalid, config: lax }), 'accept');
  }
});

test('an endpoint that is down drops all, both ways', () => {
  assert.equal(fate({ in: 'caliDown', out: 'eth0' }), 'drop');
  assert.equal(fate({ in: 'eth0', out: 'caliDown' }), 'drop');
});

test('a workload sends neither VXLAN nor IPIP, unless the settings let it', () => {
  const from = (packet: Partial<Packet>, config: Partial<DataplaneConfig> = {}) =>
    fate({ in: 'caliA', out: 'eth0', packet, config });
  const vxlan = { protocol: 17, dstPort: 4789 };
  const ipip = { protocol: 4 };
  assert.deepEqual([from(vxlan), from(ipip)], ['drop', 'drop']);
  const both = { vxlanFromWorkloads: true, ipipFromWorkloads: true };
  assert.deepEqual([from(vxlan, both), from(ipip, both)], ['accept', 'accept']);
  assert.equal(from(vxlan, { vxlanPort: 4790 }), 'accept');
  assert.equal(from({ protocol: 17, dstPort: 4790 }, { vxlanPort: 4790 }), 'drop');
  assert.equal(from({ protocol: 6, dstPort: 4789 }), 'accept');
  assert.equal(fate({ in: 'eth0', out: 'caliB', packet: vxlan }), 'accept', 'from workloads alone');
});

test('a workload reaches its node by its egress policy and by defaultEndpointToHostAction', () => {
  const toHost = (link: string, endpointToHost: DataplaneConfig['endpointToHost']) =>
    fate({ hook: 'input', in: link, config: { endpointToHost } });
  assert.deepEqual(
    (['drop', 'return', 'accept'] as const).map((setting) => toHost('caliA', setting)),
    ['drop', 'accept', 'accept'],
  );
  assert.equal(toHost('caliClosed', 'accept'), 'drop');
  assert.equal(toHost('caliUnknown', 'accept'), 'drop');
  assert.equal(toHost('eth0', 'drop'), 'accept', 'from workloads alone');
});

test('neighbour discovery and listener reports reach the node from any workload, and nothing else of ICMPv6', () => {
  const types = Array.from({ length: 256 }, (_, type) => type);
  const passes = (way: Sent) => types.filter((type) => fate({ ...way, packet: icmp6(type) }) === 'accept');
  assert.deepEqual(passes({ hook: 'input', in: 'caliClosed' }), [130, 131, 132, 133, 135, 136, 143]);
  assert.deepEqual(passes({ in: 'caliClosed', out: 'eth0' }), [], 'to the node alone');
});

test('no workload sends its node a router advertisement, whatever policy and settings allow', () => {
  const config = { endpointToHost: 'accept' } as const;
  const at = (link: string, type: number) => fate({ hook: 'input', in: link, packet: icmp6(type), config });
  assert.deepEqual([at('caliA', 134), at('caliA', 133), at('eth0', 134)], ['drop', 'accept', 'accept']);
});

test('a node reaches its own workloads whatever their policy', () => {
  assert.equal(fate({ hook: 'output', out: 'caliClosed' }), 'accept');
});
