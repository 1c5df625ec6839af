// SPDX-License-Identifier: Apache-2.0
/**
 * What every label set that a selector matches has in common, label by label: what an index can look up instead of
 * evaluating the selector everywhere. Sound, not complete: a set that satisfies them need not match.
 */
import { assertNever } from '../../lib/errors.ts';
import { foldNode, isBranch, type Leaf, type Node } from './ast.ts';

export interface LabelRestriction {
  readonly mustBePresent: boolean;
  readonly mustBeAbsent: boolean;
  /** The label's value is one of these; null: any. Empty: nothing can match. */
  readonly values: readonly string[] | null;
}

interface Restriction {
  readonly present: boolean;
  readonly absent: boolean;
  readonly values: ReadonlySet<string> | null;
}
/** `never`: no label set at all; it drops out of disjunctions. */
type Restrictions = ReadonlyMap<string, Restriction> | 'never';
/** What follows when the node is true, and when it is false: negation swaps them. */
interface Both {
  readonly whenTrue: Restrictions;
  readonly whenFalse: Restrictions;
}

const unrestricted: Restrictions = new Map();

/** Empty for a selector that restricts nothing, and for one that no label set can match. */
export function restrictionsOf(selector: { readonly root: Node }): ReadonlyMap<string, LabelRestriction> {
  const whenTrue = ofConjunction(selector.root) ?? ofAny(selector.root);
  const result = new Map<string, LabelRestriction>();
  for (const [label, { present, absent, values }] of whenTrue === 'never' ? [] : whenTrue) {
    result.set(label, { mustBePresent: present, mustBeAbsent: absent, values: values && [...values] });
  }
  return result;
}

/** The form of nearly all selectors: leaves joined by `&&`. Null for any other. */
function ofConjunction(root: Node): Restrictions | null {
  const operands = root.kind === 'and' ? root.operands : [root];
  const found: Restrictions[] = [];
  for (const operand of operands) {
    if (isBranch(operand)) return null;
    found.push(whenTrueOf(operand));
  }
  return allOf(found);
}

function ofAny(root: Node): Restrictions {
  return foldNode<Both>(root, {
    leaf: (leaf) => ({ whenTrue: whenTrueOf(leaf), whenFalse: whenFalseOf(leaf) }),
    not: ({ whenTrue, whenFalse }) => ({ whenTrue: whenFalse, whenFalse: whenTrue }),
    join: (kind, operands) => {
      const whenTrue = operands.map((operand) => operand.whenTrue);
      const whenFalse = operands.map((operand) => operand.whenFalse);
      return kind === 'and'
        ? { whenTrue: allOf(whenTrue), whenFalse: anyOf(whenFalse) }
        : { whenTrue: anyOf(whenTrue), whenFalse: allOf(whenFalse) };
    },
  }).whenTrue;
}

/** Every label that the selector names. */
export function labelsOf(selector: { readonly root: Node }): ReadonlySet<string> {
  const labels = new Set<string>();
  foldNode<void>(selector.root, {
    leaf: (leaf) => {
      if ('label' in leaf) labels.add(leaf.label);
    },
    not: () => {},
    join: () => {},
  });
  return labels;
}

function whenTrueOf(leaf: Leaf): Restrictions {
  switch (leaf.kind) {
    case 'all':
    case 'global':
    case 'ne':
    case 'not-in':
      return unrestricted;
    case 'has':
    case 'contains':
    case 'starts-with':
    case 'ends-with':
      return present(leaf.label, null);
    case 'eq':
      return present(leaf.label, new Set([leaf.value]));
    case 'in':
      return present(leaf.label, leaf.values);
    default:
      return assertNever(leaf);
  }
}

function whenFalseOf(leaf: Leaf): Restrictions {
  switch (leaf.kind) {
    case 'all':
    case 'global':
      return 'never';
    case 'has':
      return absent(leaf.label);
    case 'ne':
      return present(leaf.label, new Set([leaf.value]));
    case 'not-in':
      return present(leaf.label, leaf.values);
    case 'eq':
    case 'in':
    case 'contains':
    case 'starts-with':
    case 'ends-with':
      return unrestricted;
    default:
      return assertNever(leaf);
  }
}

function present(label: string, values: ReadonlySet<string> | null): Restrictions {
  return new Map([[label, { present: true, absent: false, values }]]);
}

function absent(label: string): Restrictions {
  return new Map([[label, { present: false, absent: true, values: null }]]);
}

function allOf(operands: readonly Restrictions[]): Restrictions {
  const result = new Map<string, Restriction>();
  for (const operand of operands) {
    if (operand === 'never') return 'never';
    for (const [label, more] of operand) {
      const base = result.get(label);
      result.set(label, base ? both(base, more) : more);
    }
  }
  return result;
}

function both(a: Restriction, b: Restriction): Restriction {
  const values = a.values && b.values ? common(a.values, b.values) : (a.values ?? b.values);
  return { present: a.present || b.present, absent: a.absent || b.absent, values };
}

function common(a: ReadonlySet<string>, b: ReadonlySet<string>): ReadonlySet<string> {
  return new Set([...a].filter((value) => b.has(value)));
}

/** Only what every possible operand says of a label holds; the values of all are put together. */
function anyOf(operands: readonly Restrictions[]): Restrictions {
  const possible = operands.filter((operand) => operand !== 'never');
  const [first, ...others] = possible;
  if (!first) return 'never';
  const result = new Map<string, Restriction>();
  for (const [label, base] of first) {
    const joined = either(base, others, label);
    if (joined) result.set(label, joined);
  }
  return result;
}

function either(
  base: Restriction,
  others: readonly ReadonlyMap<string, Restriction>[],
  label: string,
): Restriction | null {
  let [isPresent, isAbsent] = [base.present, base.absent];
  const values = new Set(base.values);
  let hasValues = base.values !== null;
  for (const other of others) {
    const more = other.get(label);
    if (!more) return null;
    isPresent &&= more.present;
    isAbsent &&= more.absent;
    hasValues &&= more.values !== null;
    for (const value of more.values ?? []) values.add(value);
  }
  if (!isPresent && !isAbsent) return null;
  return { present: isPresent, absent: isAbsent, values: isPresent && hasValues ? values : null };
}
