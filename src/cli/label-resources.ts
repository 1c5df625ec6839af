// SPDX-License-Identifier: Apache-2.0
/** `muslin label`: labels of objects set and taken away; one that is there is changed only when that is asked for. */
import { ConflictError, type Fault, InvalidError, UsageError } from '../lib/errors.ts';
import { recordOf, textMapAt } from '../model/json.ts';
import type { Resource } from '../model/types.ts';
import { collect } from '../model/validate/check.ts';
import { labels as labelsCheck } from '../model/validate/names.ts';
import { type ChangeOptions, changeResources } from './change-resources.ts';
import type { Io } from './io.ts';
import { type ChoiceOptions, parseChoice } from './object-choice.ts';
import { objectName } from './object-name.ts';

export interface LabelOptions extends ChangeOptions, ChoiceOptions {
  readonly overwrite?: boolean;
  /** calicoctl's: the words after the object are keys to take away. */
  readonly remove?: boolean;
}

/** null: take it away. */
type LabelChanges = ReadonlyMap<string, string | null>;

/** @throws {UsageError} {NotFoundError} {InvalidError} {ConflictError} for a label that is there, without --overwrite. */
export async function labelResources(words: readonly string[], options: LabelOptions, io: Io): Promise<void> {
  const { objects, texts } = splitWords(words, options);
  const changes = parseChanges(texts, options.remove ?? false);
  const change = (resource: Resource) => labelled(resource, changes, options.overwrite ?? false);
  const removes = [...changes.values()].every((value) => value === null);
  const outcomes = { changed: removes ? 'unlabeled' : 'labeled', same: 'not labeled' };
  await changeResources({ choose: parseChoice(objects, options), change, words: outcomes }, options, io);
}

/** `KIND [NAME...] LABEL...`: no name ends with a hyphen or has an equals sign. */
function splitWords(
  words: readonly string[],
  { remove = false, selector, all = false }: LabelOptions,
): { objects: readonly string[]; texts: readonly string[] } {
  const isChosen = selector !== undefined || all;
  const named = isChosen || words[0]?.includes('/') ? 1 : 2; // calicoctl's keys to remove are bare words
  const isLabel = (word: string) => word.includes('=') || word.endsWith('-');
  const at = remove ? named : words.findIndex(isLabel);
  return at < 0 ? { objects: words, texts: [] } : { objects: words.slice(0, at), texts: words.slice(at) };
}

/** @throws {UsageError} {InvalidError} with every label that is none. */
function parseChanges(texts: readonly string[], remove: boolean): LabelChanges {
  if (texts.length === 0)
    throw new UsageError(remove ? 'want KEY... to remove' : 'want KEY=VALUE or KEY- for each label');
  const entries = texts.map((text) => parseOne(text, remove));
  const twice = entries.find(([key], i) => entries.findIndex(([other]) => other === key) < i);
  if (twice) throw new UsageError(`got label ${twice[0]} twice, want each once`);
  const written = recordOf(entries.map(([key, value]) => [key, value ?? ''] as const));
  const faults: readonly Fault[] = collect(labelsCheck, written);
  if (faults.length > 0) throw new InvalidError(`${faults.length} labels that are none`, faults);
  return new Map(entries);
}

function parseOne(text: string, remove: boolean): readonly [string, string | null] {
  if (remove && !text.includes('=')) return [text.replace(/-$/, ''), null];
  const [, key = '', value] = /^([^=]+)=(.*)$/s.exec(text) ?? [];
  if (value !== undefined && !remove) return [key, value];
  if (!remove && text.length > 1 && text.endsWith('-')) return [text.slice(0, -1), null];
  const want = remove ? 'KEY' : 'KEY=VALUE or KEY-';
  throw new UsageError(`got ${JSON.stringify(text)}, want ${want}`);
}

function labelled(resource: Resource, changes: LabelChanges, overwrite: boolean): Resource {
  const labels = textMapAt(resource, 'metadata', 'labels');
  const taken = [...changes].filter(
    ([key, value]) => value !== null && labels.has(key) && labels.get(key) !== value,
  );
  if (taken.length > 0 && !overwrite) {
    const found = taken.map(([key]) => `${key}=${labels.get(key)}`).join(', ');
    throw new ConflictError(
      `cannot label ${objectName(resource)}: it has ${found}; want --overwrite to change that`,
    );
  }
  for (const [key, value] of changes) {
    if (value === null) labels.delete(key);
    else labels.set(key, value);
  }
  const { labels: _, ...metadata } = resource.metadata;
  if (labels.size === 0) return { ...resource, metadata };
  return { ...resource, metadata: { ...metadata, labels: recordOf(labels) } };
}
