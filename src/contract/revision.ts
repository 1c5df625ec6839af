// SPDX-License-Identifier: Apache-2.0
/**
 * The one thing that is known of a position in a store: whether another lies behind it.
 *
 * A store with one order for everything (SQLite, etcd) gives a decimal number. The Kubernetes API orders each kind by
 * itself (KEP-5504: resource versions of one resource compare as integers): `Pod=12;Tier=7`, with a part for each kind
 * that the position speaks of. A number by itself stands for every kind.
 */
import type { Revision } from '../lib/brand.ts';
import type { ResourceKind } from '../model/types.ts';
import type { Indexed } from './datastore.ts';

/** By kind; or one number, of every kind. */
export type Position = bigint | ReadonlyMap<ResourceKind, bigint>;

/** Whoever has heard everything up to `position` has heard everything up to `wanted`. */
export function reached(position: Revision, wanted: Revision): boolean {
  const have = parsePosition(position);
  const want = parsePosition(wanted);
  if (have === null || want === null) return false;
  if (typeof want === 'bigint') return least(have) >= want;
  return [...want].every(([kind, revision]) => (partOf(have, kind) ?? -1n) >= revision);
}

/** Something of which both speak was later in `position`: kinds that are not served any more go back to nothing. */
export function goesBack(revision: Revision, position: Revision): boolean {
  const [now, before] = [parsePosition(revision), parsePosition(position)];
  if (now === null || before === null || typeof now === 'bigint' || typeof before === 'bigint')
    return !reached(revision, position);
  return [...before].some(([kind, part]) => part > (now.get(kind) ?? part));
}

/** The position of whoever has heard both. */
export function later(a: Revision, b: Revision): Revision {
  const [left, right] = [parsePosition(a), parsePosition(b)];
  if (left === null || right === null) return left === null ? b : a;
  if (typeof left === 'bigint' || typeof right === 'bigint') return reached(a, b) ? a : b;
  const joined = new Map(left);
  for (const [kind, revision] of right) {
    if ((left.get(kind) ?? -1n) < revision) joined.set(kind, revision);
  }
  return formatPosition(joined);
}

/** null for what no store gave. */
export function parsePosition(revision: string): Position | null {
  if (/^\d{1,20}$/.test(revision)) return BigInt(revision);
  const parts = revision.split(';').map((part) => /^([A-Za-z]+)=(\d{1,20})$/.exec(part));
  if (!parts.every((part) => part !== null)) return null;
  return new Map(parts.map(([, kind = '', number = '']) => [kind as ResourceKind, BigInt(number)]));
}

/** Kinds in alphabetical order, so that equal positions are equal texts. */
export function formatPosition(position: Position): Revision {
  if (typeof position === 'bigint') return String(position) as Revision;
  const parts = [...position].map(([kind, revision]) => `${kind}=${revision}`);
  return parts.sort().join(';') as Revision;
}

/** The position of whoever has heard of each of these as it is: its own revision, where each kind has an order of its own. */
export function positionOf(items: readonly Indexed[]): Revision {
  const newest = new Map<ResourceKind, bigint>();
  for (const { key, revision } of items) {
    const number = parsePosition(revision);
    if (typeof number === 'bigint' && (newest.get(key.kind) ?? -1n) < number) newest.set(key.kind, number);
  }
  return formatPosition(newest.size === 0 ? 0n : newest);
}

/** For a column of a table: the newest part, of whatever kind. */
export function newestPart(position: Revision): string {
  const parsed = parsePosition(position);
  if (parsed === null || typeof parsed === 'bigint') return position;
  return String([...parsed.values()].reduce((newest, part) => (part > newest ? part : newest), 0n));
}

/** undefined: the position says nothing of that kind. */
export function partOf(position: Position, kind: ResourceKind): bigint | undefined {
  return typeof position === 'bigint' ? position : position.get(kind);
}

function least(position: Position): bigint {
  if (typeof position === 'bigint') return position;
  const parts = [...position.values()].sort((a, b) => Number(a - b));
  return parts[0] ?? -1n;
}
