// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { resolvedPolicy, resolvedRule, resolvedTier } from '../../../test/support/compiled.ts';
import type { DataplaneMessage, ResolvedHostEndpoint, ResolvedPolicy } from '../../contract/dataplane.ts';
import type { IfName, KeyPath } from '../../lib/brand.ts';
import { FamilyRuleset } from './ruleset.ts';

const id = 'GlobalNetworkPolicy/p' as KeyPath;
const host = 'HostEndpoint/eth0' as KeyPath;
const staged = (stage: 'untracked' | 'pre-dnat'): ResolvedPolicy => ({
  ...resolvedPolicy('default', [resolvedRule('allow')]),
  stage,
});

function hostWith(stage: 'untracked' | 'preDnat'): ResolvedHostEndpoint {
  const none = { tiers: [], forward: [], untracked: [], preDnat: [] };
  const about = { name: 'eth0', ifName: 'eth0' as IfName, addresses: [], profiles: [] };
  return { ...about, ...none, [stage]: [resolvedTier('default', 'deny', [id])] };
}

/** The chains that one transaction leaves in the kernel; it would refuse one that leads to another that is not there. */
function chainsAfter(ruleset: FamilyRuleset, ...messages: readonly DataplaneMessage[]): ReadonlySet<string> {
  for (const message of messages) ruleset.onMessage(message);
  ruleset.setClaims({ byInterface: new Map(), others: null });
  ruleset.render();
  ruleset.table.replaceActual(null);
  const ops = ruleset.table.operations();
  const added = new Set(ops.flatMap((op) => (op.op === 'add-chain' ? [op.chain] : [])));
  const named = [...JSON.stringify(ops).matchAll(/"chain":"([^"]+)"/g)].map(([, name]) => name ?? '');
  assert.deepEqual(
    named.filter((name) => !added.has(name)),
    [],
  );
  return added;
}

test('a policy of one stage of hosts stands only where a host endpoint does: others have nothing that it could lead to', () => {
  for (const [stage, list] of [
    ['untracked', 'untracked'],
    ['pre-dnat', 'preDnat'],
  ] as const) {
    const ruleset = new FamilyRuleset(4, { interfacePrefix: 'cali' });
    const bare = chainsAfter(ruleset);
    assert.deepEqual(chainsAfter(ruleset, { kind: 'policy-update', id, policy: staged(stage) }), bare);
    const policed = chainsAfter(ruleset, {
      kind: 'host-endpoint-update',
      id: host,
      endpoint: hostWith(list),
    });
    assert.ok(policed.has(`x-${stage}`));
    assert.deepEqual(chainsAfter(ruleset, { kind: 'host-endpoint-remove', id: host }), bare);
  }
});

test('what the kernel refused is forgotten with the policy that asked for it', () => {
  const ruleset = new FamilyRuleset(4, { interfacePrefix: 'cali' });
  const policy = resolvedPolicy('default', [resolvedRule('allow')]);
  const added = chainsAfter(ruleset, { kind: 'policy-update', id, policy });
  const chain = [...added].find((name) => name.startsWith('pi-')) ?? '';
  assert.ok(ruleset.table.quarantine(chain, 'refused'));
  assert.equal(ruleset.table.quarantined().size, 1);
  ruleset.onMessage({ kind: 'policy-remove', id });
  ruleset.render();
  assert.deepEqual([...ruleset.table.quarantined()], []);
});

test('a profile that nobody stored drops, also where another behind it would allow', () => {
  const ruleset = new FamilyRuleset(4, { interfacePrefix: 'cali' });
  const profile = { missing: true, ingress: [], egress: [] };
  ruleset.onMessage({ kind: 'profile-update', name: 'gone', profile });
  ruleset.setClaims({ byInterface: new Map(), others: null });
  ruleset.render();
  ruleset.table.replaceActual(null);
  const rules = ruleset.table
    .operations()
    .flatMap((op) =>
      op.op === 'add-rule' && op.rule.comment === 'profile gone is missing' ? [op.rule] : [],
    );
  const verdicts = rules.map(({ statements }) => statements.at(-1));
  assert.deepEqual(
    verdicts,
    [1, 2].map(() => ({ kind: 'verdict', verdict: { kind: 'drop' } })),
  );
});
