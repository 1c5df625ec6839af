// SPDX-License-Identifier: Apache-2.0
/** The oracle's own reading of a selector: the tree, asked node by node. */
import { assertNever } from '../../lib/errors.ts';
import type { Node } from '../selector/ast.ts';
import { parseSelector } from '../selector/parse.ts';

/** What a selector is asked about. */
export interface Subject {
  readonly label: (name: string) => string | undefined;
  /** What `all()` and `global()` are: both true, but for rewritten namespace selectors. */
  readonly all: boolean;
  readonly global: boolean;
}

export type Selects = (subject: Subject) => boolean;

/** @param text - empty selects all. @throws {SelectorError} */
export function selects(text: string): Selects {
  const { root } = parseSelector(text);
  return (subject) => holds(root, subject);
}

function holds(node: Node, subject: Subject): boolean {
  switch (node.kind) {
    case 'all':
      return subject.all;
    case 'global':
      return subject.global;
    case 'not':
      return !holds(node.operand, subject);
    case 'and':
      return node.operands.every((operand) => holds(operand, subject));
    case 'or':
      return node.operands.some((operand) => holds(operand, subject));
    default:
      return comparisonHolds(node, subject.label(node.label));
  }
}

type Comparison = Exclude<Node, { kind: 'all' | 'global' | 'not' | 'and' | 'or' }>;

function comparisonHolds(node: Comparison, value: string | undefined): boolean {
  switch (node.kind) {
    case 'has':
      return value !== undefined;
    case 'eq':
      return value === node.value;
    case 'ne':
      return value !== node.value; // also without the label
    case 'contains':
      return value?.includes(node.value) === true;
    case 'starts-with':
      return value?.startsWith(node.value) === true;
    case 'ends-with':
      return value?.endsWith(node.value) === true;
    case 'in':
      return value !== undefined && [...node.values].includes(value);
    case 'not-in':
      return value === undefined || ![...node.values].includes(value);
    default:
      return assertNever(node);
  }
}
