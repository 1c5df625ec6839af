// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KeyPath } from '../lib/brand.ts';
import { type Chain, rule } from './chain.ts';
import { type ListSources, listChains } from './tier-chains.ts';

const sources: ListSources = {
  policy: (id) => ({ id, chain: `p ${id}`, footprint: 'any', commutes: false, passes: true, only: null }),
  profileChain: (name) => `profile ${name}`,
};

/** Chains below `name`, itself counted, jumps and gotos alike: what the kernel limits. */
function depthBelow(name: string, chains: ReadonlyMap<string, Chain>): number {
  const targets = (chains.get(name)?.steps ?? []).flatMap((step) => {
    if (step.kind === 'classify') return step.cells.map((cell) => cell.chain);
    return 'chain' in step.action ? [step.action.chain] : [];
  });
  return 1 + Math.max(0, ...targets.map((target) => depthBelow(target, chains)));
}

function listOf(count: number, profiles: readonly string[] = ['open']) {
  const tiers = Array.from({ length: count }, (_, i) => ({
    name: `t${i}`,
    defaultAction: 'pass' as const,
    ingress: [`NetworkPolicy/p${i}` as KeyPath],
    egress: [],
  }));
  const { first, chains } = listChains({ tiers, profiles }, 'ingress', sources);
  return { first, chains: new Map(chains.map((chain) => [chain.name, chain])) };
}

test('tiers stand side by side: any number of them nests no deeper than one', () => {
  const depths = [1, 40].map((count) => {
    const { first, chains } = listOf(count);
    return depthBelow(first, chains);
  });
  assert.equal(depths[0], depths[1]);
});

test('a tier that two lists share is one chain; lists differ by what they hold', () => {
  const [one, other] = [listOf(2), listOf(3)];
  assert.notEqual(one.first, other.first);
  const shared = [...one.chains.keys()].filter((name) => other.chains.has(name));
  assert.equal(shared.length, 2);
});

test('a list without tiers is its profiles, then drop', () => {
  const { first, chains } = listOf(0, ['a', 'b']);
  assert.deepEqual(chains.get(first)?.steps, [
    rule([], { kind: 'jump', chain: 'profile a' }),
    rule([], { kind: 'jump', chain: 'profile b' }),
    rule([], { kind: 'drop' }, 'no profile allowed ingress'),
  ]);
});
