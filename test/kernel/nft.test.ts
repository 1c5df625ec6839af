// SPDX-License-Identifier: Apache-2.0
/** nftables in a fresh namespace: what we program raw, nft's own parser programs from our text to the same end. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { NetNs } from '../../src/kernel/netns.ts';
import type { NftOp, SetSpec, Statement, TableRef } from '../../src/kernel/nft/model.ts';
import { NftError, NftSocket } from '../../src/kernel/nft/socket.ts';
import { transactionText } from '../../src/kernel/nft/text.ts';
import type { Family } from '../../src/lib/address.ts';

const addresses = {
  4: { host: '10.0.0.1', net: '10.1.0.0/20', last: '255.255.255.255', other: '10.9.9.9' },
  6: {
    host: 'fd00::1',
    net: 'fd00:1::/36',
    last: 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff',
    other: 'fd00::9',
  },
} as const;

const specs = {
  hosts: { key: ['address'], interval: false },
  nets: { key: ['address'], interval: true },
  ports: { key: ['port'], interval: true },
  named: { key: ['address', 'protocol', 'port'], interval: false },
  dispatch: { key: ['ifname'], interval: false, map: 'verdict' },
  cells: { key: ['protocol', 'port'], interval: false, map: 'verdict' },
  wide: { key: ['protocol', 'port'], interval: true, map: 'verdict' },
} as const satisfies { [name: string]: SetSpec };

/** Every statement of the model once; the test fails to compile when a kind is forgotten. */
function statements(family: Family): { [K in Statement['kind']]: readonly Statement[] } {
  const { host, net } = addresses[family];
  return {
    equal: [
      { kind: 'equal', field: 'saddr', value: host },
      { kind: 'equal', field: 'iifname', value: 'cali0', negate: true },
      { kind: 'equal', field: 'oifname', value: 'cali1' },
    ],
    range: [{ kind: 'range', field: 'dport', first: '80', last: '90', negate: true }],
    prefix: [{ kind: 'prefix', field: 'iifname', prefix: 'cali' }],
    cidr: [{ kind: 'cidr', field: 'daddr', cidr: net, negate: true }],
    lookup: [
      { kind: 'lookup', fields: ['saddr'], set: 's-hosts' },
      { kind: 'lookup', fields: ['daddr', 'protocol', 'dport'], set: 's-named', negate: true },
    ],
    vmap: [
      { kind: 'vmap', fields: ['oifname'], map: 's-dispatch' },
      { kind: 'vmap', fields: ['protocol', 'dport'], map: 's-cells' },
    ],
    'ct-state': [{ kind: 'ct-state', states: ['established', 'related'] }],
    'mark-test': [{ kind: 'mark-test', mask: 0x20000, value: 0x20000 }],
    'mark-set': [{ kind: 'mark-set', mask: 0x30000, value: 0x10000 }],
    counter: [{ kind: 'counter' }],
    notrack: [{ kind: 'notrack' }],
    log: [{ kind: 'log', prefix: 'muslin: ' }],
    verdict: [{ kind: 'verdict', verdict: { kind: 'jump', chain: 'c-one' } }],
  };
}

function everything(family: Family): readonly NftOp[] {
  const table: TableRef = { family, name: 'muslin' };
  const { host, net, last, other } = addresses[family];
  const go = { kind: 'goto', chain: 'c-one' } as const;
  const keys: { readonly [S in keyof typeof specs]: readonly string[] } = {
    hosts: [host, other],
    nets: [net, host, last],
    ports: ['80', '8000-8080', '65535'],
    named: [`${host} . 6 . 80`],
    dispatch: ['cali0', 'eth0'],
    cells: ['6 . 80', '17 . 53'],
    wide: ['6 . 80', '17 . 1000-2000'],
  };
  const names = Object.keys(specs) as (keyof typeof specs)[];
  const protocolFirst: Statement = { kind: 'equal', field: 'protocol', value: family === 4 ? '1' : '58' };
  return [
    { op: 'add-table', table, owned: false },
    { op: 'add-chain', table, chain: 'c-one' },
    {
      op: 'add-chain',
      table,
      chain: 'b-forward',
      hook: { type: 'filter', hook: 'forward', priority: -5, policy: 'drop' },
    },
    ...names.flatMap((name): NftOp[] => {
      const spec: SetSpec = specs[name];
      const elements = keys[name].map((key) => (spec.map ? { key, verdict: go } : { key }));
      return [
        { op: 'add-set', table, set: `s-${name}`, spec },
        { op: 'add-elements', table, set: `s-${name}`, spec, elements },
      ];
    }),
    ...Object.values(statements(family))
      .flat()
      .map(
        (statement): NftOp => ({
          op: 'add-rule',
          table,
          chain: 'b-forward',
          rule: { statements: [statement], comment: `a ${statement.kind}` },
        }),
      ),
    {
      op: 'add-rule',
      table,
      chain: 'c-one',
      rule: {
        statements: [
          protocolFirst,
          { kind: 'equal', field: 'icmp-type', value: '8' },
          { kind: 'equal', field: 'icmp-code', value: '0' },
          { kind: 'verdict', verdict: { kind: 'accept' } },
        ],
      },
    },
  ];
}

function listing(netns: NetNs): unknown {
  const text = netns.run(() => execFileSync('nft', ['-j', 'list', 'ruleset'], { encoding: 'utf8' }));
  const { nftables } = JSON.parse(text) as { nftables: object[] };
  const plain = nftables.filter((item) => !('metainfo' in item));
  return JSON.parse(JSON.stringify(plain, (key, value) => (key === 'handle' ? undefined : value)));
}

for (const family of [4, 6] as const) {
  test(`nftables ${family}: raw and text make the same ruleset`, () => {
    using raw = NetNs.anonymous();
    using text = NetNs.anonymous();
    const ops = everything(family);
    using socket = raw.run(() => new NftSocket());
    socket.commit(ops);
    text.run(() => execFileSync('nft', ['-f', '-'], { input: transactionText(ops) }));
    assert.deepEqual(listing(raw), listing(text));
  });

  test(`nftables ${family}: what was written is read back, rule for rule and member for member`, () => {
    using netns = NetNs.anonymous();
    using socket = netns.run(() => new NftSocket());
    const table = { family, name: 'muslin' };
    assert.equal(socket.read(table), null);
    socket.commit(everything(family));
    const actual = socket.read(table);
    assert.ok(actual);
    for (const op of everything(family)) {
      if (op.op !== 'add-elements') continue;
      const set = actual.sets.get(op.set);
      assert.deepEqual(set?.spec, op.spec);
      const byKey = (a: { key: string }, b: { key: string }) => (a.key < b.key ? -1 : 1);
      assert.deepEqual(set?.elements.toSorted(byKey), op.elements.toSorted(byKey), op.set);
    }
    const forward = actual.chains.get('b-forward');
    assert.deepEqual(forward?.hook, { type: 'filter', hook: 'forward', priority: -5, policy: 'drop' });
    assert.equal(forward?.rules.length, Object.values(statements(family)).flat().length);
    assert.ok(forward?.rules.every((rule) => typeof rule === 'string'));
    assert.deepEqual(actual.chains.get('c-one')?.hook, null);
  });
}

test('nftables: members come and go in place, also the borders of intervals', () => {
  using netns = NetNs.anonymous();
  using socket = netns.run(() => new NftSocket());
  const table = { family: 4, name: 'muslin' } as const;
  const spec = specs.nets;
  const set = 's';
  const elements = ['10.0.0.0/24', '10.0.1.0/24', '10.0.2.7'].map((key) => ({ key }));
  socket.commit([
    { op: 'add-table', table, owned: true },
    { op: 'add-set', table, set, spec },
    { op: 'add-elements', table, set, spec, elements },
  ]);
  socket.commit([
    { op: 'delete-elements', table, set, spec, elements: [{ key: '10.0.1.0/24' }] },
    { op: 'add-elements', table, set, spec, elements: [{ key: '10.0.3.0/24' }] },
  ]);
  const keys = socket
    .read(table)
    ?.sets.get(set)
    ?.elements.map((element) => element.key);
  assert.deepEqual(keys?.sort(), ['10.0.0.0/24', '10.0.2.7', '10.0.3.0/24']);
});

test('nftables: a refused transaction changes nothing and names the guilty operation', () => {
  using netns = NetNs.anonymous();
  using socket = netns.run(() => new NftSocket());
  const table = { family: 4, name: 'muslin' } as const;
  const rule = { statements: [{ kind: 'verdict', verdict: { kind: 'jump', chain: 'nowhere' } }] } as const;
  assert.throws(
    () =>
      socket.commit([
        { op: 'add-table', table, owned: true },
        { op: 'add-chain', table, chain: 'c' },
        { op: 'add-rule', table, chain: 'c', rule },
      ]),
    (error) => error instanceof NftError && error.opIndex === 2 && /nowhere/.test(error.message),
  );
  assert.equal(socket.read(table), null);
});

test('nftables: an owned table withstands a flush, outlives its owner and is adopted', () => {
  using netns = NetNs.anonymous();
  const table = { family: 4, name: 'muslin' } as const;
  const nft = (...args: string[]) =>
    netns.run(() => execFileSync('nft', args, { encoding: 'utf8', stdio: 'pipe' }));
  {
    using first = netns.run(() => new NftSocket());
    first.commit([
      { op: 'add-table', table, owned: true },
      { op: 'add-chain', table, chain: 'c' },
    ]);
    nft('flush', 'ruleset');
    assert.ok(first.read(table)?.chains.has('c'));
    assert.throws(() => nft('delete', 'table', 'ip', 'muslin'));
  }
  using second = netns.run(() => new NftSocket());
  assert.ok(second.read(table)?.chains.has('c'));
  second.commit([
    { op: 'add-table', table, owned: true },
    { op: 'add-chain', table, chain: 'd' },
  ]);
  assert.throws(() => nft('delete', 'table', 'ip', 'muslin'));
});

test('nftables: a stranger’s change is heard, our own is not', async () => {
  using netns = NetNs.anonymous();
  using socket = netns.run(() => new NftSocket());
  const table = { family: 4, name: 'muslin' } as const;
  let heard = 0;
  const strange = new Promise<void>((resolve) => {
    netns.run(() =>
      socket.watch(
        'muslin',
        () => {
          heard++;
          resolve();
        },
        () => assert.fail('overflow'),
      ),
    );
  });
  socket.commit([{ op: 'add-table', table, owned: false }]);
  await new Promise((resolve) => setTimeout(resolve, 50));
  netns.run(() => execFileSync('nft', ['add', 'table', 'ip', 'someone-elses']));
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(heard, 0, 'neither our own change nor one of another table');
  netns.run(() => execFileSync('nft', ['add', 'chain', 'ip', 'muslin', 'strange']));
  await strange;
});
