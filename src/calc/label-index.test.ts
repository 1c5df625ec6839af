// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { LabelClass, Labelled } from './label-class.ts';
import { LabelIndex } from './label-index.ts';
import type { Work } from './node.ts';
import type { MatchListener, SelectorEntry } from './selector-index.ts';
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

test('a profile whose name is the text of a list is no list', () => {
  const item = (name: string, profiles: string[]): Change => ({
    do: 'item',
    item: name,
    labels: {},
    profiles,
  });
  const profile: Change = { do: 'profile', name: '[]', labels: { a: '1' } };
  assertTold([profile, { do: 'selector', key: 's1', text: 'has(a)' }, item('i1', ['[]']), item('i2', [])]);
});

function assertTold(changes: readonly Change[]): void {
  const checked = new CheckedIndex();
  const naive = new NaiveIndex();
  for (const it of changes) {
    if (it.do === 'selector' && naive.selectors.has(it.key)) continue;
    naive.apply(it);
    checked.apply(it);
    assert.deepEqual([...checked.told.keys()].sort(), naive.matches());
    for (const [match, value] of checked.told) {
      assert.equal(
        value.labels,
        naive.items.get(match.split(' ')[1] ?? '')?.labels,
        'the value told is the last',
      );
    }
  }
}

/** The index, and what its listeners were told: `SELECTOR ITEM` to the item's value. */
class CheckedIndex {
  readonly told: Map<string, Labelled> = new Map();
  readonly #index = new LabelIndex();
  readonly #entries = new Map<string, SelectorEntry>();
  readonly #classes = new Map<string, Set<LabelClass>>();

  apply(it: Change): void {
    if (it.do === 'item')
      this.#index.setItem(it.item, { nets: [], labels: it.labels, profiles: it.profiles });
    else if (it.do === 'no item') this.#index.deleteItem(it.item);
    else if (it.do === 'selector') this.#addSelector(it.key, it.text);
    else if (it.do === 'no selector') this.#deleteSelector(it.key);
    else finish(this.#index.setProfile(it.name, it.labels));
  }

  #addSelector(key: string, text: string): void {
    const listener: MatchListener = {
      onClassMatch: (labelClass) => this.#noteClass(key, labelClass, true),
      onClassUnmatch: (labelClass) => this.#noteClass(key, labelClass, false),
      onMatch: (item, value) => {
        assert.ok(!this.told.has(`${key} ${item}`), 'told once');
        this.told.set(`${key} ${item}`, value);
      },
      onUnmatch: (item, value) => {
        assert.equal(this.told.get(`${key} ${item}`), value, 'what was told is taken back');
        this.told.delete(`${key} ${item}`);
      },
      onChange: (item, before, after) => {
        assert.equal(this.told.get(`${key} ${item}`), before, 'what was told is changed');
        this.told.set(`${key} ${item}`, after);
      },
    };
    this.#entries.set(key, finish(this.#index.addSelector(compiled(text), listener)));
  }

  #noteClass(key: string, labelClass: LabelClass, isMatch: boolean): void {
    const classes = this.#classes.get(key) ?? new Set();
    this.#classes.set(key, classes);
    assert.equal(classes.has(labelClass), !isMatch, 'a class is told once and taken back once');
    if (isMatch) classes.add(labelClass);
    else classes.delete(labelClass);
  }

  #deleteSelector(key: string): void {
    const entry = this.#entries.get(key);
    if (!entry) return;
    for (const { items } of entry.classes.values())
      for (const item of items) entry.listener.onUnmatch(item.key, item.value);
    assert.deepEqual(new Set(entry.classes.values()), this.#classes.get(key) ?? new Set());
    this.#classes.delete(key);
    finish(this.#index.deleteSelector(entry));
    this.#entries.delete(key);
  }
}

function finish<T>(work: Work<T>): T {
  for (;;) {
    const { done, value } = work.next();
    if (done) return value;
  }
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
    const { id, canonical } = selector;
    return {
      id,
      canonical,
      labels: () => selector.labels(),
      restrictions: () => selector.restrictions(),
      matches,
    };
  };
  const index = new LabelIndex();
  const deaf: MatchListener = {
    onClassMatch: () => {},
    onClassUnmatch: () => {},
    onMatch: () => {},
    onUnmatch: () => {},
    onChange: () => {},
  };
  const item = (labels: Labels): Labelled => ({ nets: [], labels, profiles: [] });
  const own = (i: number) => ({ orchestrator: 'k8s', namespace: `n${i}` });
  for (let i = 0; i < 500; i++) {
    finish(index.addSelector(counted(`orchestrator == "k8s" && namespace == "n${i}"`), deaf));
    index.setItem(`e${i}`, item(own(i)));
  }
  evaluated = 0;
  index.setItem('new', item({ ...own(7), pod: 'new' }));
  // One selector may be filed under what all share: the first, when both drawers were empty.
  assert.ok(evaluated <= 2, `a new endpoint was compared ${evaluated} times`);
  evaluated = 0;
  finish(index.addSelector(counted('orchestrator == "k8s" && namespace in {"n7"}'), deaf));
  assert.ok(evaluated <= 2, `a new selector was compared ${evaluated} times`);
  evaluated = 0;
  index.setItem('twin', item(own(7)));
  assert.equal(evaluated, 0, 'labels already known are not compared again');
});

test('an item with 50,000 labels comes, is asked about, and goes', () => {
  const index = new LabelIndex();
  const labels = Object.fromEntries(Array.from({ length: 50_000 }, (_, i) => [`l${i}`, 'x']));
  const matched = new Set<string>();
  const listener: MatchListener = {
    onClassMatch: () => {},
    onClassUnmatch: () => {},
    onMatch: (item) => assert.ok(matched.add(item)),
    onUnmatch: (item) => assert.ok(matched.delete(item)),
    onChange: () => {},
  };
  index.setItem('many', { nets: [], labels, profiles: [] });
  index.setItem('few', { nets: [], labels: { l0: 'x', l49999: 'x' }, profiles: [] });
  finish(index.addSelector(compiled('l49999 == "x" && has(l25000)'), listener));
  assert.deepEqual([...matched], ['many']);
  index.deleteItem('many');
  assert.deepEqual([...matched], []);
});

function compiled(text: string): LabelSelector {
  const selector = tryCompileSelector(text);
  assert.ok(selector, text);
  return selector;
}
