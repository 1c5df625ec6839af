// SPDX-License-Identifier: Apache-2.0
/**
 * Valid resources with harm done to them, through all pure tiers. What must hold is pipeline.ts's; here is what is sent.
 *
 * MUSLIN_SEED repeats a run, MUSLIN_CASE one case of it, MUSLIN_RUNS changes how many there are. A failure prints both, with what was sent: put it
 * into seeds.json, whose entries run first, with a word on what it was.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { keyOf } from '../../src/model/kinds.ts';
import type { Resource, ResourceKey } from '../../src/model/types.ts';
import { validateResource } from '../../src/model/validate/resource.ts';
import { Random, seedOfRun } from '../support/random.ts';
import { basesByKind } from './bases.ts';
import { altered, corrupted, vocabularyOf } from './corrupt.ts';
import { corruptedText, writtenText } from './corrupt-text.ts';
import {
  assertUnharmed,
  compileHostile,
  judgeHostile,
  readHostile,
  storeHostile,
  validateHostile,
} from './pipeline.ts';

/** What was sent then: a seed would mean another case as soon as the generator changes. */
type Saved = { readonly what: string } & (
  | { readonly text: string }
  | { readonly key: ResourceKey; readonly stored: unknown }
);

const { MUSLIN_CASE: onlyCase, MUSLIN_RUNS: runs = '10000' } = process.env;
const blockCount = 10;
const seed = seedOfRun('hostile input');
const bases = [...basesByKind()];
const vocabulary = vocabularyOf(
  bases.flatMap(([, list]) => list.filter((each) => validateResource(each).resource !== null)),
);
const prototypes = [Object.prototype, Array.prototype, String.prototype, Map.prototype] as const;
const membersBefore = prototypes.map((each) => Reflect.ownKeys(each).map(String).join());
const counts = { accepted: 0, refused: 0, read: 0 };

for (const saved of savedCases()) {
  test(`saved: ${saved.what}`, () => {
    if ('text' in saved) sendText(saved.text);
    else sendValue(saved.key, saved.stored);
    assertPrototypes();
  });
}

const size = Number(runs) / blockCount;
for (let block = 0; block < blockCount; block++) {
  const first = Math.floor(block * size);
  const last = Math.floor((block + 1) * size) - 1;
  test(`harmed resources, cases ${first} to ${last}`, () => {
    for (let i = first; i <= last; i++) if (onlyCase === undefined || Number(onlyCase) === i) runCase(i);
  });
}

test('every kind was there, some of it was taken and some refused', () => {
  assert.deepEqual(
    bases.filter(([, list]) => list.length === 0),
    [],
  );
  if (onlyCase !== undefined) return;
  const total = counts.accepted + counts.refused;
  const least = Math.min(counts.accepted, counts.refused, counts.read);
  assert.ok(least > total / 20, JSON.stringify(counts));
});

after(() => assertPrototypes());

function savedCases(): readonly Saved[] {
  return JSON.parse(readFileSync(join(import.meta.dirname, 'seeds.json'), 'utf8'));
}

function runCase(number: number): void {
  const random = new Random(seed * 100_003 + number);
  const base = someBase(random);
  const value = harmedValue(random, base);
  const text = harmedText(random, value);
  try {
    sendValue(keyOf(base), value);
    sendText(text);
    assertPrototypes();
  } catch (error) {
    const sent = [JSON.stringify(value), JSON.stringify(text)].map(shortened);
    const repeat = `repeat with MUSLIN_SEED=${seed} MUSLIN_CASE=${number}`;
    throw new Error(`${repeat}\nvalue ${sent[0]}\ntext ${sent[1]}`, { cause: error });
  }
}

function someBase(random: Random): Resource {
  const [, list] = random.pick(bases);
  return random.pick(list);
}

function harmedValue(random: Random, base: Resource): unknown {
  let value: unknown = base;
  for (let changes = random.pick([0, 1, 2, 4]); changes > 0; changes--) {
    value = altered(random, value, vocabulary);
  }
  for (let harms = random.pick([0, 0, 0, 1, 1, 1, 2, 4]); harms > 0 && mayGrow(value); harms--) {
    value = corrupted(random, value, () => someBase(random)) ?? null;
  }
  return value;
}

/** One harm makes six hundred of it: what is longer than this would outgrow a string with the next. */
const longestMultiplied = 100_000;

function mayGrow(value: unknown): boolean {
  return JSON.stringify(value).length < longestMultiplied;
}

function harmedText(random: Random, value: unknown): string {
  let text = writtenText(random, value);
  for (let harms = random.pick([0, 0, 1, 1, 2, 4]); harms > 0 && text.length < longestHarmed; harms--)
    text = corruptedText(random, text);
  return text;
}

/** Some harms double a text or write a piece of it a thousand times over: beyond this they would only outgrow a string. */
const longestHarmed = 4_000_000;

/** As if it had been written into the store under that key, past every check. */
function sendValue(key: ResourceKey, value: unknown): void {
  const accepted = validateHostile(value);
  counts[accepted ? 'accepted' : 'refused']++;
  const updates = storeHostile(key, value);
  if (updates.every((update) => update.value === null)) assertUnharmed(updates);
  else compileHostile(updates, JSON.stringify(value).length);
  if (accepted) judgeHostile(accepted);
}

function sendText(text: string): void {
  for (const resource of readHostile(text)) {
    counts.read++;
    compileHostile(storeHostile(keyOf(resource), resource), JSON.stringify(resource).length);
    judgeHostile(resource);
  }
}

function assertPrototypes(): void {
  for (const [i, each] of prototypes.entries()) {
    assert.equal(Reflect.ownKeys(each).map(String).join(), membersBefore[i], 'a prototype was changed');
  }
}

function shortened(text: string | undefined): string {
  return text === undefined || text.length < 4000 ? String(text) : `${text.slice(0, 4000)}...`;
}
