// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LabelIndex } from './label-index.ts';
import { type LabelSelector, tryCompileSelector } from './selectors.ts';

const labels = fc.dictionary(fc.constantFrom('a', 'b', 'constructor'), fc.constantFrom('1', '2', ''), {
  maxKeys: 3,
});
const texts = fc.constantFrom(
  'all()',
  'has(a)',
  '!has(a)',
  'has(constructor)',
  'a == "1" && b == "2"',
  'a in {"1", ""} || a == "2" && has(b)',
  'a not in {"1"}',
  'a starts with ""',
  'a == "1" && a != "1"',
  'a == "1" && !has(a)',
  'a in {}',
);
const profiles = fc.uniqueArray(fc.constantFrom('p', 'q'), { maxLength: 2 });
const item = fc.constantFrom('i1', 'i2', 'i3');
const key = fc.constantFrom('s1', 's2', 's3');

type Labels = { [key: string]: string };
type Change =
  | { do: 'item'; item: string; labels: Labels; profiles: string[] }
  | { do: 'no item'; item: string }
  | { do: 'selector'; key: string; text: string }
  | { do: 'no selector'; key: string }
  | { do: 'profile'; name: string; labels: Labels | null };
function changesOf(labels: fc.Arbitrary<Labels>, texts: fc.Arbitrary<string>): fc.Arbitrary<Change> {
  return fc.oneof(
    fc.record({ do: fc.constant('item' as const), item, labels, profiles }),
    fc.record({ do: fc.constant('no item' as const), item }),
    fc.record({ do: fc.constant('selector' as const), key, text: texts }),
    fc.record({ do: fc.constant('no selector' as const), key }),
    fc.record({
      do: fc.constant('profile' as const),
      name: fc.constantFrom('p', 'q'),
      labels: fc.option(labels),
    }),
  );
}

test('after every change the matches told are those of a full comparison', () => {
  const changes = fc.array(changesOf(labels, texts), { maxLength: 30 });
  fc.assert(fc.property(changes, assertTold), { numRuns: 400 });
});

test('labels that are asked about for a while only, dozens of them', () => {
  const name = fc.nat(39).map((i) => `l${i}`);
  const many = fc.dictionary(name, fc.constantFrom('1', '2'), { maxKeys: 8 });
  const asking = fc.tuple(name, name).map(([a, b]) => `has(${a}) || ${b} == "1"`);
  const changes = fc.array(changesOf(many, asking), { minLength: 100, maxLength: 200, size: 'max' });
  fc.assert(fc.property(changes, assertTold), { numRuns: 40 });
});

function assertTold(changes: readonly Change[]): void {
  const told = new Set<string>();
  const index = new LabelIndex({
    onMatch: (selector, it) => assert.ok(!told.has(`${selector} ${it}`) && told.add(`${selector} ${it}`)),
    onUnmatch: (selector, it) => assert.ok(told.delete(`${selector} ${it}`)),
  });
  const naive = new NaiveIndex();
  for (const it of changes) {
    if (it.do === 'selector' && naive.selectors.has(it.key)) continue;
    naive.apply(it);
    apply(index, it);
    assert.deepEqual([...told].sort(), naive.matches());
    for (const name of naive.items.keys()) {
      const matching = [...index.selectorsOf(name)].map((selector) => `${selector} ${name}`);
      assert.deepEqual(
        matching.sort(),
        naive.matches().filter((match) => match.endsWith(` ${name}`)),
      );
    }
  }
}

function apply(index: LabelIndex, it: Change): void {
  if (it.do === 'item') index.setItem(it.item, it.labels, it.profiles);
  else if (it.do === 'no item') index.deleteItem(it.item);
  else if (it.do === 'selector') index.addSelector(it.key, compiled(it.text));
  else if (it.do === 'no selector') index.deleteSelector(it.key);
  else index.setProfile(it.name, it.labels);
}

class NaiveIndex {
  readonly items: Map<string, { labels: Labels; profiles: string[] }> = new Map();
  readonly selectors: Map<string, LabelSelector> = new Map();
  readonly #profiles = new Map<string, Labels>();

  apply(it: Change): void {
    if (it.do === 'item') this.items.set(it.item, it);
    else if (it.do === 'no item') this.items.delete(it.item);
    else if (it.do === 'selector') this.selectors.set(it.key, compiled(it.text));
    else if (it.do === 'no selector') this.selectors.delete(it.key);
    else if (it.labels) this.#profiles.set(it.name, it.labels);
    else this.#profiles.delete(it.name);
  }

  matches(): string[] {
    const found: string[] = [];
    for (const [name, { labels: own, profiles: list }] of this.items) {
      const inherited = list.toReversed().map((profile) => this.#profiles.get(profile) ?? {});
      const effective: Labels = Object.assign({}, ...inherited, own);
      for (const [id, selector] of this.selectors)
        if (selector.matches(effective)) found.push(`${id} ${name}`);
    }
    return found.sort();
  }
}

test('neither a new endpoint meets all selectors, nor a new selector all endpoints', () => {
  let evaluated = 0;
  const counted = (text: string): LabelSelector => {
    const selector = compiled(text);
    const matches: LabelSelector['matches'] = (it) => {
      evaluated++;
      return selector.matches(it);
    };
    const { id, canonical, labels, restrictions } = selector;
    return { id, canonical, labels, restrictions, matches };
  };
  const index = new LabelIndex({ onMatch: () => {}, onUnmatch: () => {} });
  const own = (i: number) => ({ orchestrator: 'k8s', namespace: `n${i}` });
  for (let i = 0; i < 500; i++) {
    index.addSelector(`p${i}`, counted(`orchestrator == "k8s" && namespace == "n${i}"`));
    index.setItem(`e${i}`, own(i), []);
  }
  evaluated = 0;
  index.setItem('new', { ...own(7), pod: 'new' }, []);
  // One selector may be filed under what all share: the first, when both drawers were empty.
  assert.ok(evaluated <= 2, `a new endpoint was compared ${evaluated} times`);
  evaluated = 0;
  index.addSelector('new', counted('orchestrator == "k8s" && namespace in {"n7"}'));
  assert.ok(evaluated <= 2, `a new selector was compared ${evaluated} times`);
  evaluated = 0;
  index.setItem('twin', own(7), []);
  assert.equal(evaluated, 0, 'labels already known are not compared again');
});

function compiled(text: string): LabelSelector {
  const selector = tryCompileSelector(text);
  assert.ok(selector, text);
  return selector;
}
