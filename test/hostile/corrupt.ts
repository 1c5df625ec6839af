// SPDX-License-Identifier: Apache-2.0
/**
 * Harm done to a value: one place of it is dropped, doubled, retyped, nested, blown up, poisoned or exchanged. What comes
 * back shares what was not touched; nothing that was handed in is changed.
 */
import { isObject } from '../../src/model/json.ts';
import type { Random } from '../support/random.ts';
import { extremeNumbers, hostileTexts, plausible, prototypeKeys } from './hostile-values.ts';

type Change = (value: unknown) => unknown;
/** In an object the key, in a list the index. */
type Place = readonly (string | number)[];

/** Another resource, from which pieces are taken. */
export type Donor = () => unknown;
/** What stands under a name somewhere. */
export type Vocabulary = ReadonlyMap<string, readonly unknown[]>;

const hugeList = 600;
/** What JSON.stringify still prints: deeper nesting is written as text. */
const deepest = 400;

export function corrupted(random: Random, value: unknown, donor: Donor): unknown {
  return changedAt(value, somePlace(random, value), someHarm(random, donor));
}

/** What some resource has under that name takes the place of what this one has: most often that is valid too. */
export function altered(random: Random, value: unknown, vocabulary: Vocabulary): unknown {
  const place = somePlace(random, value);
  const name = place.findLast((step) => typeof step === 'string') ?? '';
  const known = vocabulary.get(name) ?? [];
  if (known.length === 0) return value;
  return changedAt(value, place.slice(0, place.lastIndexOf(name) + 1), () => random.pick(known));
}

/** Every member's value, each once. */
export function vocabularyOf(values: readonly unknown[]): Vocabulary {
  const found = new Map<string, Map<string, unknown>>();
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) value.forEach(visit);
    else if (isObject(value)) for (const [name, child] of Object.entries(value)) note(name, child);
  };
  const note = (name: string, child: unknown): void => {
    const known = found.get(name) ?? new Map<string, unknown>();
    found.set(name, known.set(JSON.stringify(child), child));
    visit(child);
  };
  values.forEach(visit);
  return new Map([...found].map(([name, known]) => [name, [...known.values()]]));
}

function someHarm(random: Random, donor: Donor): Change {
  return random.pick<() => Change>([
    () => () => undefined,
    () => () => undefined,
    () => doubled,
    () => () => random.pick(plausible),
    () => () => random.pick(plausible),
    () => () => random.pick(plausible),
    () => () => random.pick(extremeNumbers),
    () => () => random.pick(hostileTexts),
    () => () => random.pick(hostileTexts),
    () => () => someLongText(random),
    () => (inner) => retyped(random, inner),
    () => (inner) => nested(inner, random.pick([1, 2, 8, 62, 66, deepest]), random.chance(0.5)),
    () => (inner) => Array.from({ length: random.pick([2, 65, hugeList]) }, () => inner),
    () => (inner) => poisoned(random, inner),
    () => otherFamily,
    () => (inner) => renamed(random, inner),
    () => () => somePiece(random, donor()),
    () => (inner) => withPiece(random, inner, donor()),
  ])();
}

/** Each level as likely as the next: most of a resource is deep inside. */
function somePlace(random: Random, value: unknown): Place {
  const place: (string | number)[] = [];
  for (let inner = value; ; ) {
    const keys = keysOf(inner);
    if (keys.length === 0 || random.chance(0.15)) return place;
    const key = random.pick(keys);
    place.push(key);
    inner = childOf(inner, key);
  }
}

function keysOf(value: unknown): readonly (string | number)[] {
  if (Array.isArray(value)) return [...value.keys()];
  return isObject(value) ? Object.keys(value) : [];
}

function childOf(value: unknown, key: string | number): unknown {
  return (value as { readonly [key: string | number]: unknown })[key];
}

/** @param change - undefined: what stood there goes. */
function changedAt(value: unknown, [key, ...rest]: Place, change: Change): unknown {
  if (key === undefined) return change(value);
  const child = changedAt(childOf(value, key), rest, change);
  if (Array.isArray(value)) {
    return child === undefined ? value.toSpliced(Number(key), 1) : value.with(Number(key), child);
  }
  const others = Object.entries(value as object).map(([name, old]) => [name, name === key ? child : old]);
  return Object.fromEntries(others.filter(([, kept]) => kept !== undefined));
}

function doubled(value: unknown): unknown {
  if (Array.isArray(value)) return [...value, ...value];
  if (typeof value === 'string') return value + value;
  return isObject(value) ? { ...value, ...value, copy: value } : [value, value];
}

function retyped(random: Random, value: unknown): unknown {
  if (typeof value === 'number') return random.pick([String(value), [value], value !== 0, { value }]);
  if (typeof value === 'string') return random.pick([Number(value), [value], { [value]: value }, true]);
  if (Array.isArray(value))
    return random.pick([value[0] ?? null, { ...value }, JSON.stringify(value), value.length]);
  return random.pick([JSON.stringify(value) ?? 'nothing', [value], 1, Object.entries(Object(value))]);
}

function nested(value: unknown, levels: number, inLists: boolean): unknown {
  let outer = value;
  for (let i = 0; i < levels; i++) outer = inLists ? [outer] : { a: outer };
  return outer;
}

/** As JSON.parse makes it: an own member, not the prototype. */
function poisoned(random: Random, value: unknown): unknown {
  const entries = isObject(value) ? Object.entries(value) : [];
  const poison = random.pick<unknown>([{ polluted: 'yes' }, null, 'polluted', ['polluted'], 5]);
  const some = random.some(prototypeKeys, 1, 3).map((key) => [key, poison] as const);
  return Object.fromEntries([...entries, ...some]);
}

function otherFamily(value: unknown): unknown {
  if (typeof value !== 'string') return ['10.0.0.0/8', 'fd00::/8'];
  return value.includes(':') ? '10.9.0.0/16' : 'fd09::/32';
}

function renamed(random: Random, value: unknown): unknown {
  if (!isObject(value)) return value;
  const names = Object.keys(value);
  const [old] = names.length > 0 ? [random.pick(names)] : [];
  const name = random.pick([random.pick(hostileTexts), `${old}s`, String(old).toUpperCase()]);
  return Object.fromEntries(Object.entries(value).map(([key, child]) => [key === old ? name : key, child]));
}

function somePiece(random: Random, value: unknown): unknown {
  return somePlace(random, value).reduce(childOf, value);
}

function withPiece(random: Random, value: unknown, other: unknown): unknown {
  if (Array.isArray(value)) return [...value, somePiece(random, other)];
  if (!isObject(value) || !isObject(other)) return other;
  const key = random.pick([...Object.keys(other), 'spec']);
  return { ...value, [key]: childOf(other, key) };
}

function someLongText(random: Random): string {
  const length = random.pick([100, 1024, 1025, 5000, 20_000]);
  const piece = random.pick(['a', 'a.', 'has(a)||', '(', '"', '!', ' ', 'é', '\\', '1', ':', '0/', '-']);
  return piece.repeat(Math.ceil(length / piece.length)).slice(0, length);
}
