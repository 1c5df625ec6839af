// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { absent } from '../../test/support/expand.ts';
import { MockDataplane } from '../../test/support/mock-dataplane.ts';
import type { HostTraffic, ModelRule, StagedAction, Update } from '../model/types.ts';
import { compileFor } from './compile.ts';
import { buildGraph } from './graph.ts';
import {
  endpoint,
  hostEndpoint,
  networkSet,
  node,
  policy,
  profile,
  rule,
  slice,
  tier,
} from './states/build.ts';

// Small alphabets, so that labels, addresses, names and selectors meet.
const labels = fc.dictionary(fc.constantFrom('a', 'b', 'c'), fc.constantFrom('1', '2'), { maxKeys: 3 });
const selector = fc.constantFrom(
  'all()',
  'has(a)',
  '!has(a)',
  'a == "1"',
  'a != "1"',
  'a in {"1", "2"} && b == "2"',
  'a == "1" || b == "1"',
  'a == "1" && !has(b)',
  'b not in {"1"} && has(c)',
  'a == "1" && a == "2"',
);
const address = fc.constantFrom('10.0.0.1', '10.0.0.2', '10.0.1.1', '10.1.0.1', 'fd00::1', 'fd00::2');
const net = fc.constantFrom(
  '0.0.0.0/0',
  '0.0.0.0/1',
  '::/0',
  '10.0.0.0/8',
  '10.0.0.0/16',
  '10.0.0.0/24',
  '10.0.0.0/31',
  '10.0.0.1/32',
  '10.0.1.0/24',
  'fd00::/64',
  'fd00::/127',
  'fd00::1/128',
);
const names = fc.constantFrom('p', 'q', 'r');
const profiles = fc.uniqueArray(names, { maxLength: 3 });
const namedPort = fc.record({
  name: fc.constantFrom('http', 'dns'),
  protocol: fc.constantFrom(6, 17, 132),
  port: fc.constantFrom(53, 80),
});
const order = fc.constantFrom(1, 2, Number.POSITIVE_INFINITY);
const side = fc.record(
  {
    selector,
    notSelector: selector,
    service: fc.constantFrom({ namespace: 'a', name: 's' }, { namespace: 'b', name: 's' }),
    namedPorts: fc.subarray(['http', 'dns']),
    notNamedPorts: fc.subarray(['http']),
  },
  { requiredKeys: [] },
);
const anyRule: fc.Arbitrary<ModelRule> = fc
  .record({
    action: fc.constantFrom('allow' as const, 'deny' as const, 'pass' as const),
    protocol: fc.option(fc.constantFrom(6, 17), { nil: undefined }),
    from: side,
    to: side,
  })
  .map(({ action, protocol, from, to }) => rule(action, { ...(protocol && { protocol }), from, to }));
const rules = fc.array(anyRule, { maxLength: 3 });

const present: fc.Arbitrary<Update> = fc.oneof(
  { weight: 4, arbitrary: anyEndpoint() },
  { weight: 3, arbitrary: anyPolicy() },
  fc
    .record({ name: names, nets: fc.array(net, { maxLength: 4 }), labels, profiles })
    .map(({ name, nets, ...rest }) => networkSet(name, nets, rest)),
  { weight: 2, arbitrary: anyHostEndpoint() },
  fc
    .record({
      name: names,
      service: fc.constantFrom('a/s', 'b/s'),
      addresses: fc.uniqueArray(address, { maxLength: 3 }),
      port: fc.constantFrom(53, 80),
    })
    .map((it) => slice(it.name, it.service, it.addresses, [{ protocol: 6, port: it.port }])),
  fc
    .record({ name: names, labels, ingress: rules })
    .map((it) => profile(it.name, it.labels, { ingress: it.ingress })),
  fc
    .record({ name: names, order, action: fc.constantFrom('deny' as const, 'pass' as const) })
    .map((it) => tier(it.name, it.order, it.action)),
  fc
    .record({
      name: fc.constantFrom('local', 'far', 'farther'),
      last: fc.constantFrom(1, 2),
      six: fc.boolean(),
    })
    .map((it) => node(it.name, `192.0.2.${it.last}`, ...(it.six ? [`2001:db8::${it.last}`] : []))),
);

function anyEndpoint(): fc.Arbitrary<Update> {
  return fc
    .record({
      name: fc.constantFrom('a/1', 'a/2', 'b/3', 'b/4'),
      addresses: fc.uniqueArray(address, { maxLength: 2 }),
      node: fc.constantFrom('local', 'local', 'far', 'farther'),
      labels,
      profiles,
      ports: fc.array(namedPort, { maxLength: 2 }),
    })
    .map(({ name, addresses, ...rest }) => endpoint(name, addresses, rest));
}

function anyHostEndpoint(): fc.Arbitrary<Update> {
  return fc
    .record({
      name: names,
      addresses: fc.uniqueArray(address, { maxLength: 2 }),
      node: fc.constantFrom('local', 'local', 'far'),
      labels,
      profiles,
      ports: fc.array(namedPort, { maxLength: 2 }),
    })
    .map(({ name, addresses, ...rest }) => hostEndpoint(name, addresses, rest));
}

function anyPolicy(): fc.Arbitrary<Update> {
  return fc
    .record({
      name: names,
      namespace: fc.option(fc.constantFrom('a', 'b'), { nil: undefined }),
      tier: names,
      order,
      selector,
      types: fc.record({ ingress: fc.boolean(), egress: fc.boolean() }),
      hostTraffic: fc.constantFrom<HostTraffic[]>(
        'normal',
        'normal',
        'normal-and-forward',
        'untracked',
        'pre-dnat',
      ),
      staged: fc.constantFrom<(StagedAction | undefined)[]>(undefined, undefined, 'set', 'delete', 'ignore'),
      onEveryNode: fc.boolean(),
      ingress: rules,
      egress: rules,
    })
    .map(({ name, namespace, staged, ...rest }) => {
      const kind = `${staged ? 'Staged' : ''}${namespace ? '' : 'Global'}NetworkPolicy` as const;
      return policy(name, { ...rest, kind, ...(staged && { staged }), ...(namespace && { namespace }) });
    });
}

const update = fc.tuple(present, fc.boolean()).map(([it, gone]) => (gone ? absent(it) : it));
const batches = fc.array(fc.array(update, { minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 8 });

test('after any updates a node holds what a node that starts now is sent', () => {
  fc.assert(
    fc.property(batches, fc.nat(4), (history, syncedAfter) => {
      const graph = buildGraph({ node: 'local' });
      const dataplane = new MockDataplane();
      const state = new Map<string, Update>();
      for (const [i, batch] of history.entries()) {
        if (i === syncedAfter) graph.onStatus('in-sync');
        for (const it of batch) state.set(`${it.kind} ${it.path}`, it);
        graph.onUpdates(batch);
        dataplane.onFlush(flushed(graph));
        if (i >= syncedAfter) assertSame(dataplane, fresh([...state.values()]));
        else assert.equal(dataplane.messageCount, 0);
      }
    }),
    { numRuns: 400 },
  );
});

test('taking everything back leaves nothing', () => {
  fc.assert(
    fc.property(batches, (history) => {
      const graph = buildGraph({ node: 'local' });
      graph.onStatus('in-sync');
      const dataplane = new MockDataplane();
      for (const batch of history) {
        graph.onUpdates(batch);
        dataplane.onFlush(flushed(graph));
      }
      graph.onUpdates(history.flat().map(absent));
      dataplane.onFlush(flushed(graph));
      assertSame(dataplane, new MockDataplane());
    }),
  );
});

test('the order in which updates arrive does not change a single message', () => {
  fc.assert(
    fc.property(fc.array(present, { maxLength: 20 }), (updates) => {
      const last = new Map(updates.map((it) => [`${it.kind} ${it.path}`, it]));
      const state = [...last.values()];
      assert.deepEqual(compileFor('local', state.toReversed()), compileFor('local', state));
    }),
  );
});

function fresh(state: readonly Update[]): MockDataplane {
  const dataplane = new MockDataplane();
  dataplane.onFlush(compileFor('local', state));
  return dataplane;
}

function assertSame(actual: MockDataplane, expected: MockDataplane): void {
  for (const map of ['sets', 'policies', 'profiles', 'endpoints', 'hostEndpoints', 'routes'] as const) {
    assert.deepEqual(actual[map], expected[map], map);
  }
}

function flushed(graph: ReturnType<typeof buildGraph>): Parameters<MockDataplane['onFlush']>[0] {
  const messages: Parameters<MockDataplane['onMessage']>[0][] = [];
  graph.flush((message) => messages.push(message));
  return messages;
}
