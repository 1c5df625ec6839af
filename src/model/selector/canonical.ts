// SPDX-License-Identifier: Apache-2.0
/**
 * The normal text of a selector, character for character as Calico writes it, and the id that follows from it.
 *
 * A double negation over parentheses, `!(!has(a))`, prints `!!has(a)`, which reads back as `has(a)`: Calico's quirk,
 * kept, because the id is made of this text.
 */
import { sha224 } from '@noble/hashes/sha2.js';
import { utf8ToBytes } from '@noble/hashes/utils.js';
import { foldNode, type Leaf, type Node } from './ast.ts';

const operators = {
  eq: '==',
  ne: '!=',
  contains: 'contains',
  'starts-with': 'starts with',
  'ends-with': 'ends with',
  in: 'in',
  'not-in': 'not in',
} as const;

export function canonicalText(root: Node): string {
  return foldNode<string>(root, {
    leaf: leafText,
    not: (operand) => `!${operand}`,
    join: (kind, operands) => `(${operands.join(kind === 'and' ? ' && ' : ' || ')})`,
  });
}

/**
 * `PREFIX:` and 38 characters of base64url without padding: SHA-224 over `PREFIX:content`, as Calico names IP sets.
 *
 * @param prefix - `s` for selectors, `n` for named ports.
 * @see libcalico-go/lib/hash, MakeUniqueID
 */
export function uniqueId(prefix: string, content: string): string {
  return `${prefix}:${base64Url(sha224(utf8ToBytes(`${prefix}:${content}`)))}`;
}

function leafText(node: Leaf): string {
  switch (node.kind) {
    case 'all':
      return 'all()';
    case 'global':
      return 'global()';
    case 'has':
      return `has(${node.label})`;
    case 'in':
    case 'not-in':
      return `${node.label} ${operators[node.kind]} {${[...node.values].map(quote).join(', ')}}`;
    default:
      return `${node.label} ${operators[node.kind]} ${quote(node.value)}`;
  }
}

/** The grammar has no escapes: a value holds at most one of the two quotes. */
function quote(value: string): string {
  return value.includes('"') ? `'${value}'` : `"${value}"`;
}

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

/** RFC 4648 section 5, without padding. */
function base64Url(bytes: Uint8Array): string {
  let text = '';
  for (let i = 0; i < bytes.length; i += 3) {
    const group = ((bytes[i] ?? 0) << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0);
    const digits = Math.min(4, bytes.length - i + 1);
    for (let d = 0; d < digits; d++) text += alphabet[(group >> (18 - 6 * d)) & 63];
  }
  return text;
}
