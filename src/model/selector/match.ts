// SPDX-License-Identifier: Apache-2.0
/**
 * Evaluation. The tree is laid out once as a list of tests with two jumps each, so that a match is a loop that stops at
 * the first test that decides, whatever the depth.
 */
import { assertNever } from '../../lib/errors.ts';
import { isBranch, type Leaf, type Node, operandAt, operandCount } from './ast.ts';

/** Labels as a function, a Map or a plain record; a record's inherited members are no labels. */
export type LabelLookup =
  | ((name: string) => string | undefined)
  | ReadonlyMap<string, string>
  | { readonly [name: string]: string };

const yes = -1;
const no = -2;

interface Step {
  readonly leaf: Leaf;
  /** Index of the next step, or the verdict. */
  readonly onTrue: number;
  readonly onFalse: number;
}

export interface MatchProgram {
  readonly steps: readonly Step[];
  readonly entry: number;
}

export function runProgram(program: MatchProgram, labels: LabelLookup): boolean {
  const lookup = lookupOf(labels);
  let at = program.entry;
  for (;;) {
    const step = program.steps[at];
    if (!step) return at === yes;
    at = leafMatches(step.leaf, lookup) ? step.onTrue : step.onFalse;
  }
}

interface Frame {
  readonly node: Exclude<Node, Leaf>;
  readonly onTrue: number;
  readonly onFalse: number;
  /** Operands still to lay out: the last comes first, so that each jump's target is known. */
  left: number;
}

export function compileMatch(root: Node): MatchProgram {
  const steps: Step[] = [];
  const frames: Frame[] = [];
  let [node, onTrue, onFalse]: [Node, number, number] = [root, yes, no];
  for (;;) {
    if (isBranch(node)) {
      frames.push({ node, onTrue, onFalse, left: operandCount(node) });
    } else {
      steps.push({ leaf: node, onTrue, onFalse });
    }
    let frame = frames.at(-1);
    while (frame?.left === 0) {
      frames.pop();
      frame = frames.at(-1);
    }
    if (!frame) return { steps, entry: steps.length - 1 };
    [node, onTrue, onFalse] = operandJumps(frame, steps.length - 1);
  }
}

/** @param next - the step laid out last: where evaluation goes on when this operand does not decide. */
function operandJumps(frame: Frame, next: number): [Node, number, number] {
  const { node, onTrue, onFalse } = frame;
  const isLast = frame.left === operandCount(node);
  frame.left--;
  const operand = operandAt(node, frame.left);
  if (node.kind === 'not') return [operand, onFalse, onTrue];
  if (isLast) return [operand, onTrue, onFalse];
  return node.kind === 'and' ? [operand, next, onFalse] : [operand, onTrue, next];
}

function leafMatches(leaf: Leaf, lookup: (name: string) => string | undefined): boolean {
  if (leaf.kind === 'all' || leaf.kind === 'global') return true;
  const value = lookup(leaf.label);
  switch (leaf.kind) {
    case 'has':
      return value !== undefined;
    case 'eq':
      return value === leaf.value;
    case 'ne':
      return value !== leaf.value;
    case 'contains':
      return value?.includes(leaf.value) ?? false;
    case 'starts-with':
      return value?.startsWith(leaf.value) ?? false;
    case 'ends-with':
      return value?.endsWith(leaf.value) ?? false;
    case 'in':
      return value !== undefined && leaf.values.has(value);
    case 'not-in':
      return value === undefined || !leaf.values.has(value);
    default:
      return assertNever(leaf);
  }
}

function lookupOf(labels: LabelLookup): (name: string) => string | undefined {
  if (typeof labels === 'function') return labels;
  if (labels instanceof Map) return (name) => labels.get(name);
  const record = labels as { readonly [name: string]: string };
  return (name) => (Object.hasOwn(record, name) ? record[name] : undefined);
}
