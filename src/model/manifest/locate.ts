// SPDX-License-Identifier: Apache-2.0
/**
 * From the path of a fault, `spec.ingress[0].action`, to where it stands in the text. Keys may hold dots, slashes and
 * brackets themselves (labels do), so the path is matched against what is there, the longest key first.
 */
import { isSeq, type Node } from 'yaml';
import { startOf, type TreeReader } from './node-value.ts';

/** Splits tried at one key: more dots than any name has. */
const maxSplits = 300;

export interface Spot {
  /** Null: the value is written nowhere, an empty one for instance. */
  readonly value: Node | null;
  /** The key it stands under; null for items of lists and the root. */
  readonly key: Node | null;
}

/**
 * @returns the value at `path`, or the innermost thing on the way to it that exists: the parent of what is missing.
 */
export function spotAt(tree: TreeReader, root: Spot, path: string): { spot: Spot; found: boolean } {
  let spot = root;
  let rest = path;
  while (rest !== '') {
    const step = /^\[\d+\]/.test(rest) ? itemStep(tree, spot, rest) : memberStep(tree, spot, rest);
    if (!step) return { spot, found: false };
    ({ spot, rest } = step);
  }
  return { spot, found: true };
}

/**
 * The offset that a fault is told at: a value where it begins; a field that should not be there, or a map's key, at
 * the key; a field that should be there at the key of what lacks it.
 */
export function offsetOf(
  tree: TreeReader,
  root: Spot,
  fault: { readonly path: string; readonly message: string },
): number {
  const { spot, found } = spotAt(tree, root, fault.path);
  const aboutKey = !found || /^(unknown field|got key) /.test(fault.message);
  const at = aboutKey || spot.value === null ? (spot.key ?? spot.value) : spot.value;
  return startOf(at);
}

function itemStep(tree: TreeReader, spot: Spot, rest: string): { spot: Spot; rest: string } | null {
  const end = rest.indexOf(']');
  const list = tree.resolved(spot.value);
  const index = Number(rest.slice(1, end));
  if (!isSeq(list) || index >= list.items.length) return null;
  return {
    spot: { key: null, value: list.items[index] as Node | null },
    rest: afterDot(rest.slice(end + 1)),
  };
}

function memberStep(tree: TreeReader, spot: Spot, rest: string): { spot: Spot; rest: string } | null {
  const members = tree.members(spot.value);
  for (const end of splits(rest)) {
    const member = members.get(rest.slice(0, end));
    if (member) return { spot: member, rest: afterDot(rest.slice(end)) };
  }
  return null;
}

function splits(rest: string): readonly number[] {
  const ends = [rest.length];
  for (let i = rest.length - 1; i > 0 && ends.length < maxSplits; i--) {
    if (rest[i] === '.' || rest[i] === '[') ends.push(i);
  }
  return ends;
}

function afterDot(rest: string): string {
  return rest.startsWith('.') ? rest.slice(1) : rest;
}
