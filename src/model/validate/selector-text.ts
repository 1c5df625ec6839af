// SPDX-License-Identifier: Apache-2.0
/** Selectors as text: they parse, and global() stands where it may. */
import { foldNode } from '../selector/ast.ts';
import { parseSelector, SelectorError } from '../selector/parse.ts';
import { type Check, shown } from './check.ts';

/** @param global - where `global()` may stand: nowhere, or alone. */
export function selectorText(global: 'refused' | 'alone' = 'refused'): Check {
  return (value, path, report) => {
    if (typeof value !== 'string') return report(path, `got ${shown(value)}, want a selector`);
    try {
      const { root } = parseSelector(value);
      if (!usesGlobal(root) || (global === 'alone' && root.kind === 'global')) return;
      const where =
        global === 'alone'
          ? 'it stands alone'
          : "it is for the namespaceSelector of a rule's source or destination";
      report(path, `got global(), want a selector without it: ${where}`);
    } catch (error) {
      if (!(error instanceof SelectorError)) throw error;
      report(path, error.message);
    }
  };
}

function usesGlobal(root: Parameters<typeof foldNode>[0]): boolean {
  return foldNode<boolean>(root, {
    leaf: (leaf) => leaf.kind === 'global',
    not: (operand) => operand,
    join: (_, operands) => operands.includes(true),
  });
}
