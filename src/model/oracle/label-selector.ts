// SPDX-License-Identifier: Apache-2.0
/** Kubernetes' own label selectors: API reference, LabelSelector and LabelSelectorRequirement. */
import { type Fields, fieldsOf, labelsIn, listIn, textIn, textsIn } from './fields.ts';

/** Everything must hold; nothing written selects everything. @throws {TypeError} on an unknown operator. */
export function labelSelectorMatches(selector: Fields, labels: ReadonlyMap<string, string>): boolean {
  const exact = [...labelsIn(selector, 'matchLabels')];
  return (
    exact.every(([key, value]) => labels.get(key) === value) &&
    listIn(selector, 'matchExpressions').every((row) => requirementHolds(fieldsOf(row), labels))
  );
}

/** False for what this version of Kubernetes' API does not say. */
export function isLabelSelector(value: unknown): boolean {
  const selector = fieldsOf(value);
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  return (
    isObject &&
    Object.keys(selector).every((name) => name === 'matchLabels' || name === 'matchExpressions') &&
    listIn(selector, 'matchExpressions').every((row) => operators.has(textIn(fieldsOf(row), 'operator')))
  );
}

const operators: ReadonlySet<string> = new Set(['In', 'NotIn', 'Exists', 'DoesNotExist']);

function requirementHolds(row: Fields, labels: ReadonlyMap<string, string>): boolean {
  const value = labels.get(textIn(row, 'key'));
  const values = textsIn(row, 'values');
  const operator = textIn(row, 'operator');
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
    default:
      throw new TypeError(`no such operator: ${JSON.stringify(operator)}`);
  }
}
