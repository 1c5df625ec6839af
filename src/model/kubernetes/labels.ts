// SPDX-License-Identifier: Apache-2.0
/**
 * Kubernetes label selectors as Calico selector text, spelled as Calico's own converter spells them.
 *
 * @see libcalico-go/lib/backend/k8s/conversion, k8sSelectorToCalico
 */
import { listAt, textAt, textMapAt } from '../json.ts';
import { orchestratorLabel } from '../selector/rewrite.ts';

/** A pod selector, null where the author wrote none: either way it selects Pods only, never network sets. */
export function podSelectorText(selector: unknown): string {
  return [`${orchestratorLabel} == 'k8s'`, ...requirements(selector)].join(' && ');
}

/** A namespace selector; an empty one selects every namespace. */
export function namespaceSelectorText(selector: unknown): string {
  return requirements(selector).join(' && ') || 'all()';
}

function requirements(selector: unknown): string[] {
  const labels = [...textMapAt(selector, 'matchLabels')].sort(([a], [b]) => (a < b ? -1 : 1));
  return [
    ...labels.map(([key, value]) => `${key} == '${value}'`),
    ...listAt(selector, 'matchExpressions').map(expression),
  ];
}

/** An operator that is none of the four selects nothing: such a policy was stored behind validation's back. */
function expression(requirement: unknown): string {
  const key = textAt(requirement, 'key');
  const values = listAt(requirement, 'values')
    .map((value) => `'${String(value)}'`)
    .join(', ');
  switch (textAt(requirement, 'operator')) {
    case 'In':
      return `${key} in { ${values} }`;
    case 'NotIn':
      return `${key} not in { ${values} }`;
    case 'Exists':
      return `has(${key})`;
    case 'DoesNotExist':
      return `! has(${key})`;
    default:
      return '!all()';
  }
}
