// SPDX-License-Identifier: Apache-2.0
/** The tree of a selector, and the one way to walk it: bottom up, without recursion. */

export type Comparison = 'eq' | 'ne' | 'contains' | 'starts-with' | 'ends-with';

export type Leaf =
  | { readonly kind: 'all' }
  | { readonly kind: 'global' }
  | { readonly kind: 'has'; readonly label: string }
  | { readonly kind: Comparison; readonly label: string; readonly value: string }
  /** Values in byte order, each once: the order in which they are printed. */
  | { readonly kind: 'in' | 'not-in'; readonly label: string; readonly values: ReadonlySet<string> };

export type Node =
  | Leaf
  | { readonly kind: 'not'; readonly operand: Node }
  /** Two operands or more. */
  | { readonly kind: 'and' | 'or'; readonly operands: readonly Node[] };

export interface Folder<T> {
  leaf(node: Leaf): T;
  not(operand: T): T;
  join(kind: 'and' | 'or', operands: T[]): T;
}

interface Frame<T> {
  readonly node: Exclude<Node, Leaf>;
  readonly done: T[];
}

/** Computes a value for each node from the values of its operands. The stack is on the heap: depth costs no frames. */
export function foldNode<T>(root: Node, folder: Folder<T>): T {
  const frames: Frame<T>[] = [];
  let node = root;
  for (;;) {
    if (isBranch(node)) {
      frames.push({ node, done: [] });
      node = operandAt(node, 0);
      continue;
    }
    let value = folder.leaf(node);
    for (;;) {
      const frame = frames.at(-1);
      if (!frame) return value;
      frame.done.push(value);
      if (frame.done.length < operandCount(frame.node)) {
        node = operandAt(frame.node, frame.done.length);
        break;
      }
      frames.pop();
      value = frame.node.kind === 'not' ? folder.not(value) : folder.join(frame.node.kind, frame.done);
    }
  }
}

export function isBranch(node: Node): node is Exclude<Node, Leaf> {
  return node.kind === 'and' || node.kind === 'or' || node.kind === 'not';
}

export function operandCount(node: Exclude<Node, Leaf>): number {
  return node.kind === 'not' ? 1 : node.operands.length;
}

export function operandAt(node: Exclude<Node, Leaf>, index: number): Node {
  const operand = node.kind === 'not' ? node.operand : node.operands[index];
  if (!operand) throw new RangeError(`selector node ${node.kind} has no operand ${index}`);
  return operand;
}

/** Sorted as Go sorts strings, by bytes of UTF-8, so that ids agree with Calico's; duplicates removed. */
export function valueSet(values: Iterable<string>): ReadonlySet<string> {
  return new Set([...values].sort(compareBytes));
}

/** UTF-8's byte order is code point order; JavaScript's own is UTF-16's, which puts U+E000..U+FFFF behind U+10000. */
function compareBytes(a: string, b: string): number {
  const end = Math.min(a.length, b.length);
  for (let i = 0; i < end; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) return isSurrogate(x) === isSurrogate(y) ? x - y : isSurrogate(x) ? 1 : -1;
  }
  return a.length - b.length;
}

function isSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdfff;
}
