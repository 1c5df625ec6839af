// SPDX-License-Identifier: Apache-2.0
/**
 * Selectors over namespaces and service accounts turned into selectors over endpoints, and the ways to combine them.
 * Always on the tree: a text replacement would also change `all()` inside a quoted value.
 */
import { foldNode, type Leaf, type Node, valueSet } from './ast.ts';

export const namespaceLabel = 'projectcalico.org/namespace';
export const serviceAccountLabel = 'projectcalico.org/serviceaccount';
export const orchestratorLabel = 'projectcalico.org/orchestrator';
/** Under this name (with its prefix) a profile carries the name of its namespace or service account. */
export const nameLabel = 'projectcalico.org/name';
export const namespacePrefix = 'pcns.';
export const serviceAccountPrefix = 'pcsa.';

const hasNamespace: Node = { kind: 'has', label: namespaceLabel };

/** Labels of namespaces reach endpoints as `pcns.*`; `all()` means "in a namespace", `global()` "in none". */
export function overNamespaces(root: Node): Node {
  return replaceLeaves(root, (leaf) => {
    if (leaf.kind === 'all') return hasNamespace;
    if (leaf.kind === 'global') return { kind: 'not', operand: hasNamespace };
    return { ...leaf, label: namespacePrefix + leaf.label };
  });
}

/**
 * Labels of service accounts reach endpoints as `pcsa.*`.
 *
 * @param all - what `all()` becomes: global policies say "has a service account", everything else leaves it (Calico's
 * update processors differ so).
 */
export function overServiceAccounts(root: Node, all: 'any-endpoint' | 'has-service-account'): Node {
  return replaceLeaves(root, (leaf) => {
    if (leaf.kind === 'all' && all === 'has-service-account')
      return { kind: 'has', label: serviceAccountLabel };
    return 'label' in leaf ? { ...leaf, label: serviceAccountPrefix + leaf.label } : leaf;
  });
}

export function inNamespace(namespace: string): Node {
  return { kind: 'eq', label: namespaceLabel, value: namespace };
}

export function inServiceAccounts(names: readonly string[]): Node {
  return { kind: 'in', label: serviceAccountLabel, values: valueSet(names) };
}

/** The conjunction of what is there; null when nothing is. One operand stands alone, operands are not flattened. */
export function conjunction(operands: readonly (Node | null)[]): Node | null {
  const present = operands.filter((node) => node !== null);
  return present.length > 1 ? { kind: 'and', operands: present } : (present[0] ?? null);
}

export function negation(operand: Node): Node {
  return { kind: 'not', operand };
}

function replaceLeaves(root: Node, leaf: (node: Leaf) => Node): Node {
  return foldNode<Node>(root, { leaf, not: negation, join: (kind, operands) => ({ kind, operands }) });
}
