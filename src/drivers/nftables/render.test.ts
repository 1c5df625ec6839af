// SPDX-License-Identifier: Apache-2.0
/** Each match and action of rules/chain.ts in nft's own words; the table does not compile when a kind has no row. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ruleText } from '../../kernel/nft/text.ts';
import type { Cidr, IpSetId } from '../../lib/brand.ts';
import { type Action, type Match, rule } from '../../rules/chain.ts';
import { renderUnit } from './render.ts';

const setNames = {
  nameOf: (id: IpSetId) => `named-${id.slice(2)}`,
  isHostsOnly: (id: IpSetId) => id !== 's:nets',
};
const id = 's:a' as IpSetId;
const nets = ['10.0.0.0/8', '10.1.0.0/16', '192.0.2.7/32'] as Cidr[];

const matches: { readonly [K in Match['kind']]: readonly (readonly [Match, string])[] } = {
  protocol: [
    [{ kind: 'protocol', protocol: 6 }, 'meta l4proto 6'],
    [{ kind: 'protocol', protocol: 17, negate: true }, 'meta l4proto != 17'],
  ],
  nets: [
    [{ kind: 'nets', side: 'src', nets: ['10.0.0.0/8' as Cidr] }, 'ip saddr 10.0.0.0/8'],
    [{ kind: 'nets', side: 'dst', nets: ['10.0.0.1/32' as Cidr], negate: true }, 'ip daddr != 10.0.0.1'],
  ],
  set: [[{ kind: 'set', side: 'src', set: id, negate: true }, 'ip saddr != @named-a']],
  'any-set': [[{ kind: 'any-set', side: 'src', sets: [id] }, 'ip saddr @named-a']],
  ports: [
    [{ kind: 'ports', side: 'dst', ports: [{ first: 80, last: 80 }] }, 'th dport 80'],
    [
      {
        kind: 'ports',
        side: 'src',
        ports: [
          { first: 1, last: 9 },
          { first: 10, last: 20 },
        ],
      },
      'th sport 1-20',
    ],
  ],
  'port-set': [[{ kind: 'port-set', side: 'dst', set: id }, 'ip daddr . meta l4proto . th dport @named-a']],
  'icmp-type': [[{ kind: 'icmp-type', type: 8, negate: true }, 'icmp type != 8']],
  'icmp-type-code': [
    [{ kind: 'icmp-type-code', type: 8, code: 1 }, 'icmp type 8 icmp code 1'],
    [{ kind: 'icmp-type-code', type: 8, code: 1, negate: true }, 'th sport != 2049'],
  ],
  'interface-prefix': [[{ kind: 'interface-prefix', side: 'src', prefix: 'cali' }, 'iifname "cali*"']],
  interface: [
    [{ kind: 'interface', side: 'dst', name: 'lo', negate: true }, 'oifname != "lo"'],
    [{ kind: 'interface', side: 'src', name: '' }, 'iif 0'],
  ],
  connection: [
    [{ kind: 'connection', state: 'established' }, 'ct state established,related'],
    [{ kind: 'connection', state: 'invalid' }, 'ct state invalid'],
  ],
  mark: [[{ kind: 'mark', mark: 'passed' }, 'meta mark and 0x00020000 == 0x00020000']],
};

const actions: { readonly [K in Action['kind']]: readonly [Action, string] } = {
  accept: [{ kind: 'accept' }, 'accept'],
  drop: [{ kind: 'drop' }, 'drop'],
  return: [{ kind: 'return' }, 'return'],
  jump: [{ kind: 'jump', chain: 'c-1' }, 'jump c-1'],
  goto: [{ kind: 'goto', chain: 'c-1' }, 'goto c-1'],
  log: [{ kind: 'log', prefix: 'why: ' }, 'log prefix "why: "'],
  'set-mark': [
    { kind: 'set-mark', mark: 'accepted' },
    'meta mark set meta mark and 0xfffeffff or 0x00010000',
  ],
  'clear-mark': [
    { kind: 'clear-mark', mark: 'passed' },
    'meta mark set meta mark and 0xfffdffff or 0x00000000',
  ],
  untrack: [{ kind: 'untrack' }, 'notrack'],
  dispatch: [{ kind: 'dispatch', side: 'dst', map: 'd-to' }, 'oifname vmap @d-to'],
};

function rendered(match: readonly Match[], action: Action): string {
  const unit = renderUnit([{ name: 'c', steps: [rule(match, action)] }], setNames);
  return (unit.chains.get('c') ?? []).map((each) => ruleText(each, 4)).join('\n');
}

for (const [kind, rows] of Object.entries(matches)) {
  test(`match ${kind}`, () => {
    for (const [match, text] of rows) assert.equal(rendered([match], { kind: 'drop' }), `${text} drop`);
  });
}

for (const [kind, [action, text]] of Object.entries(actions)) {
  test(`action ${kind}`, () => assert.equal(rendered([], action), text));
}

test('a list of nets becomes one interval set without nested members, shared by rules that list the same', () => {
  const match: Match = { kind: 'nets', side: 'src', nets };
  const shuffled: Match = { ...match, nets: nets.toReversed() };
  const unit = renderUnit(
    [{ name: 'c', steps: [rule([match], { kind: 'drop' }), rule([shuffled], { kind: 'accept' })] }],
    setNames,
  );
  assert.equal(unit.sets.size, 1);
  assert.deepEqual([...unit.sets.values()][0], {
    spec: { key: ['address'], interval: true },
    elements: [{ key: '10.0.0.0/8' }, { key: '192.0.2.7' }],
  });
});

test('any of several sets is one lookup in their union, and a rule for each set that holds networks', () => {
  const sets = ['s:a', 's:b', 's:nets'] as IpSetId[];
  const unit = renderUnit(
    [{ name: 'c', steps: [rule([{ kind: 'any-set', side: 'src', sets }], { kind: 'drop' })] }],
    setNames,
  );
  const [union = ''] = unit.unions.keys();
  const texts = (unit.chains.get('c') ?? []).map((each) => ruleText(each, 4));
  assert.deepEqual(texts, [`ip saddr @${union} drop`, 'ip saddr @named-nets drop']);
  assert.deepEqual(unit.unions.get(union), ['s:a', 's:b']);
  assert.deepEqual([...unit.ipSets], sets);
});

test('a classifier of single ports is a hash, one with ranges a set of intervals', () => {
  const cell = (first: number, last: number) => ({ protocol: 6, ports: { first, last }, chain: 'c-x' });
  const unit = renderUnit(
    [
      {
        name: 'c',
        steps: [
          { kind: 'classify', name: 'm-1', cells: [cell(80, 80)] },
          { kind: 'classify', name: 'm-2', cells: [cell(1, 9)] },
        ],
      },
    ],
    setNames,
  );
  const go = { kind: 'jump', chain: 'c-x' };
  assert.deepEqual(Object.fromEntries(unit.sets), {
    'm-1': {
      spec: { key: ['protocol', 'port'], interval: false, map: 'verdict' },
      elements: [{ key: '6 . 80', verdict: go }],
    },
    'm-2-i': {
      spec: { key: ['protocol', 'port'], interval: true, map: 'verdict' },
      elements: [{ key: '6 . 1-9', verdict: go }],
    },
  });
});

test('what the rules look into is told, so that a set of another form has its readers rendered anew', () => {
  const unit = renderUnit(
    [{ name: 'c', steps: [rule([{ kind: 'set', side: 'src', set: id }], { kind: 'drop' })] }],
    setNames,
  );
  assert.deepEqual([...unit.ipSets], [id]);
});
