// SPDX-License-Identifier: Apache-2.0
/** Chains mean what the messages mean: walked by a machine, they give the evaluator's verdict, whatever the policies. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ChainMachine } from '../../test/support/chain-machine.ts';
import type {
  Direction,
  PeerMatch,
  ResolvedPolicy,
  ResolvedRule,
  ResolvedTier,
} from '../contract/dataplane.ts';
import type { Address, Cidr, IpSetId, KeyPath } from '../lib/brand.ts';
import { DataplaneState } from '../observe/dataplane-state.ts';
import { evaluatePolicy } from '../observe/evaluate.ts';
import type { Packet } from '../observe/packet-match.ts';
import { chainName } from './names.ts';
import { allowedChain, ruleListChains } from './policy-chains.ts';
import { listChains } from './tier-chains.ts';

const addresses = { 4: ['10.0.0.1', '10.0.0.2', '10.0.1.1'], 6: ['fd00::1', 'fd00::2', 'fd01::1'] } as const;
const setIds = ['s:a', 's:b'] as IpSetId[];
const portSetIds = ['n:a', 'n:b'] as IpSetId[];

const net = fc.constantFrom('10.0.0.0/24', '10.0.0.1/32', 'fd00::/64', '10.0.0.0/8') as fc.Arbitrary<Cidr>;
const range = fc
  .tuple(fc.integer({ min: 78, max: 84 }), fc.integer({ min: 0, max: 3 }))
  .map(([first, more]) => ({ first, last: first + more }));
const few = <T>(item: fc.Arbitrary<T>) =>
  fc.oneof(
    { weight: 3, arbitrary: fc.constant([]) },
    { weight: 1, arbitrary: fc.array(item, { maxLength: 2 }) },
  );

const addressPart = fc.record({
  nets: few(net),
  notNets: few(net),
  sets: few(fc.constantFrom(...setIds)),
  notSets: few(fc.constantFrom(...setIds)),
});
const portPart = fc.record({
  ports: few(range),
  portSets: few(fc.constantFrom(...portSetIds)),
  notPorts: few(range),
  notPortSets: few(fc.constantFrom(...portSetIds)),
});
const noPorts = { ports: [], portSets: [], notPorts: [], notPortSets: [] };
const anyPeer: PeerMatch = { nets: [], notNets: [], sets: [], notSets: [], ...noPorts };
const withPorts: fc.Arbitrary<PeerMatch> = fc.tuple(addressPart, portPart).map(([a, p]) => ({ ...a, ...p }));
const withoutPorts: fc.Arbitrary<PeerMatch> = addressPart.map((a) => ({ ...a, ...noPorts }));
const namedOnly: fc.Arbitrary<PeerMatch> = fc
  .tuple(addressPart, few(fc.constantFrom(...portSetIds)))
  .map(([a, portSets]) => ({ ...a, ...noPorts, portSets }));

const action = fc.constantFrom('allow', 'allow', 'allow', 'deny', 'pass', 'log') as fc.Arbitrary<
  ResolvedRule['action']
>;
/** What validation lets through: numeric ports want TCP or UDP, ICMP fields want ICMP. */
const rule: fc.Arbitrary<ResolvedRule> = fc.oneof(
  // neighbours that differ in their set alone, which are merged
  fc.record({
    action: fc.constantFrom('allow', 'allow', 'deny', 'log') as fc.Arbitrary<ResolvedRule['action']>,
    protocol: fc.constant(6),
    src: fc
      .constantFrom(...setIds)
      .map((id): PeerMatch => ({ nets: [], notNets: [], notSets: [], sets: [id], ...noPorts })),
    dst: fc.constant<PeerMatch>({
      nets: [],
      notNets: [],
      sets: [],
      notSets: [],
      ...noPorts,
      ports: [{ first: 80, last: 80 }],
    }),
  }),
  fc.record({ action, protocol: fc.constantFrom(6, 17), src: withPorts, dst: withPorts }),
  fc.record({ action, protocol: fc.constant(6), src: withoutPorts, dst: withPorts }),
  fc.record({ action, src: withoutPorts, dst: namedOnly }),
  fc.record({ action, notProtocol: fc.constantFrom(1, 6, 17), src: withoutPorts, dst: withoutPorts }),
  fc.record({ action, ipVersion: fc.constantFrom<4 | 6>(4, 6), src: withoutPorts, dst: withoutPorts }),
  fc.record({
    action,
    protocol: fc.constantFrom(1, 58),
    icmp: fc.constantFrom({ type: 8 }, { type: 128, code: 0 }, { type: 8, code: 1 }),
    src: withoutPorts,
    dst: withoutPorts,
  }),
  fc.record({
    action,
    protocol: fc.constantFrom(1, 58),
    notIcmp: fc.constantFrom({ type: 8 }, { type: 128, code: 0 }),
    src: withoutPorts,
    dst: withoutPorts,
  }),
);

const policy = fc.record({
  ingress: fc.array(rule, { maxLength: 8 }),
  egress: fc.constant([] as ResolvedRule[]),
});
const tiers = fc.array(
  fc.tuple(
    fc.constantFrom('deny', 'pass') as fc.Arbitrary<'deny' | 'pass'>,
    fc.array(policy, { minLength: 1, maxLength: 8 }),
  ),
  { maxLength: 3 },
);
const profiles = fc.array(policy, { maxLength: 2 });

const packet: fc.Arbitrary<Packet> = fc
  .record({
    ipVersion: fc.constantFrom<4 | 6>(4, 6),
    protocol: fc.constantFrom(1, 6, 17, 58, 132, 253),
    src: fc.integer({ min: 0, max: 2 }),
    dst: fc.integer({ min: 0, max: 2 }),
    srcPort: fc.integer({ min: 78, max: 84 }),
    dstPort: fc.integer({ min: 78, max: 88 }),
    icmpType: fc.constantFrom(8, 128, 13),
    icmpCode: fc.integer({ min: 0, max: 1 }),
  })
  .map(({ ipVersion, protocol, src, dst, srcPort, dstPort, icmpType, icmpCode }) => ({
    ipVersion,
    protocol,
    src: addresses[ipVersion][src] as Address,
    dst: addresses[ipVersion][dst] as Address,
    ...([6, 17, 132].includes(protocol) ? { srcPort, dstPort } : {}),
    ...(protocol === (ipVersion === 4 ? 1 : 58) ? { icmpType, icmpCode } : {}),
  }));

function stateOf(
  lists: readonly (readonly ['deny' | 'pass', readonly { ingress: ResolvedRule[] }[]])[],
  ends: readonly { ingress: ResolvedRule[] }[],
) {
  const state = DataplaneState.from([
    {
      kind: 'ipset-update',
      id: setIds[0] as IpSetId,
      set: { type: 'net', members: ['10.0.0.1/32', 'fd00::/64'], description: '' },
    },
    {
      kind: 'ipset-update',
      id: setIds[1] as IpSetId,
      set: { type: 'net', members: ['10.0.1.0/24', 'fd00::2/128'], description: '' },
    },
    {
      kind: 'ipset-update',
      id: portSetIds[0] as IpSetId,
      set: { type: 'ip-port', members: ['10.0.0.1,tcp:80', 'fd00::1,udp:81'], description: '' },
    },
    {
      kind: 'ipset-update',
      id: portSetIds[1] as IpSetId,
      set: { type: 'ip-port', members: ['10.0.0.2,udp:80', '10.0.0.1,sctp:80'], description: '' },
    },
  ]);
  const resolved: ResolvedTier[] = lists.map(([defaultAction, policies], t) => ({
    name: `t${t}`,
    defaultAction,
    egress: [],
    ingress: policies.map(({ ingress }, p) => {
      const id = `NetworkPolicy/default/p${t}-${p}` as KeyPath;
      const value: ResolvedPolicy = {
        kind: 'NetworkPolicy',
        namespace: 'default',
        name: id,
        tier: `t${t}`,
        ingress,
        egress: [],
      };
      state.policies.set(id, value);
      return id;
    }),
  }));
  for (const [i, { ingress }] of ends.entries())
    state.profiles.set(`f${i}`, { missing: false, ingress, egress: [] });
  return { state, endpoint: { tiers: resolved, profiles: ends.map((_, i) => `f${i}`) } };
}

function machineFor(state: DataplaneState, endpoint: ReturnType<typeof stateOf>['endpoint'], family: 4 | 6) {
  const direction: Direction = 'ingress';
  const lists = new Map(
    [...state.policies].map(([id, value]) => [
      id,
      ruleListChains(
        {
          chain: chainName('pi', '', [id]),
          title: id,
          logPrefix: 'log',
          allowed: 'x-accept',
          onPass: 'mark',
        },
        value.ingress,
        direction,
        family,
      ),
    ]),
  );
  const ends = [...state.profiles].map(([name, value]) =>
    ruleListChains(
      {
        chain: chainName('pr', '', [name]),
        title: name,
        logPrefix: 'log',
        allowed: 'x-accept',
        onPass: 'return',
      },
      value.ingress,
      direction,
      family,
    ),
  );
  const { first, chains } = listChains(endpoint, direction, {
    policy: (id) => {
      const list = lists.get(id);
      if (!list) throw new Error(`no policy ${id}`);
      return {
        id,
        chain: chainName('pi', '', [id]),
        footprint: list.footprint,
        commutes: list.commutes,
        passes: list.passes,
        only: list.only,
      };
    },
    profileChain: (name) => chainName('pr', '', [name]),
  });
  const all = [...chains, ...[...lists.values(), ...ends].flatMap((list) => list.chains)];
  return { machine: new ChainMachine(all, new Map([[allowedChain.ingress, 'accept']]), state), first };
}

test('chains give the verdict that the compiled messages mean', () => {
  fc.assert(
    fc.property(tiers, profiles, fc.array(packet, { minLength: 8, maxLength: 8 }), (lists, ends, packets) => {
      const { state, endpoint } = stateOf(lists, ends);
      for (const each of packets) {
        const { machine, first } = machineFor(state, endpoint, each.ipVersion);
        const said = evaluatePolicy(state, endpoint, 'ingress', each).verdict;
        assert.equal(machine.run(first, each), said === 'allow' ? 'accept' : 'drop', JSON.stringify(each));
      }
    }),
    { numRuns: 1500 },
  );
});

test('a packet meets as few steps among a thousand policies as among ten, when each has a port of its own', () => {
  const steps = [10, 1000].map((count) => {
    const policies = Array.from({ length: count }, (_, i) => ({
      ingress: [
        {
          action: 'allow',
          protocol: 6,
          src: anyPeer,
          dst: { ...anyPeer, ports: [{ first: 1000 + i, last: 1000 + i }] },
        },
      ] as ResolvedRule[],
    }));
    const { state, endpoint } = stateOf([['deny', policies]], []);
    const { machine, first } = machineFor(state, endpoint, 4);
    const last = {
      ipVersion: 4,
      protocol: 6,
      src: '10.0.0.1',
      dst: '10.0.0.2',
      srcPort: 1,
      dstPort: 999 + count,
    } as unknown as Packet;
    assert.equal(machine.run(first, last), 'accept');
    return machine.steps;
  });
  assert.equal(steps[0], steps[1]);
});

test('an uncuttable policy that only allows does not stand in the way of the cut; one that denies does', () => {
  const narrow = (port: number): ResolvedRule[] => [
    { action: 'allow', protocol: 6, src: anyPeer, dst: { ...anyPeer, ports: [{ first: port, last: port }] } },
  ];
  const wide = (kind: 'allow' | 'deny'): ResolvedRule[] => [
    { action: kind, src: { ...anyPeer, nets: ['10.0.1.0/24' as Cidr] }, dst: anyPeer },
  ];
  const stepsWith = (kind: 'allow' | 'deny') => {
    const policies = Array.from({ length: 40 }, (_, i) => ({
      ingress: i % 2 ? narrow(1000 + i) : wide(kind),
    }));
    const { state, endpoint } = stateOf([['deny', policies]], []);
    const { machine, first } = machineFor(state, endpoint, 4);
    machine.run(first, {
      ipVersion: 4,
      protocol: 6,
      src: '10.0.0.1' as Address,
      dst: '10.0.0.2' as Address,
      srcPort: 1,
      dstPort: 1039,
    });
    return machine.steps;
  };
  assert.ok(stepsWith('allow') < stepsWith('deny') / 4);
});

test('a thousand policies that admit a source each to one port cost one lookup', () => {
  const policies = Array.from({ length: 1000 }, (_, i) => ({
    ingress: [
      {
        action: 'allow',
        protocol: 6,
        src: { ...anyPeer, sets: [setIds[i % 2] as IpSetId] },
        dst: { ...anyPeer, ports: [{ first: 80, last: 80 }] },
      },
    ] as ResolvedRule[],
  }));
  const { state, endpoint } = stateOf([['deny', policies]], []);
  const { machine, first } = machineFor(state, endpoint, 4);
  const packet = {
    ipVersion: 4,
    protocol: 6,
    src: '10.0.1.1',
    dst: '10.0.0.2',
    srcPort: 1,
    dstPort: 80,
  } as unknown as Packet;
  assert.equal(machine.run(first, packet), 'accept');
  assert.ok(machine.steps < 10);
});
