// SPDX-License-Identifier: Apache-2.0
/** metav1.LabelSelector inside objects: what is wrong with it, and its text for tables. */
import type { Json } from '../../../model/types.ts';
import type { Cause } from '../api-error.ts';
import { forbidden, invalid, required } from '../causes.ts';
import { listAt, mapAt, textAt } from '../json.ts';
import { labelValueFaults, qualifiedFaults } from '../names.ts';
import { labelCauses } from '../object-meta.ts';

export function labelSelectorCauses(selector: Json | undefined, field: string): readonly Cause[] {
  return [
    ...labelCauses(mapAt(selector, 'matchLabels'), `${field}.matchLabels`),
    ...listAt(selector, 'matchExpressions').flatMap((each, i) =>
      expressionCauses(each, `${field}.matchExpressions[${i}]`),
    ),
  ];
}

function expressionCauses(expression: Json, field: string): readonly Cause[] {
  const key = textAt(expression, 'key');
  return [
    ...operatorCauses(expression, field),
    ...qualifiedFaults(key).map((fault) => invalid(`${field}.key`, key, fault)),
    ...listAt(expression, 'values').flatMap((value, i) =>
      labelValueFaults(String(value)).map((fault) => invalid(`${field}.values[${i}]`, value, fault)),
    ),
  ];
}

function operatorCauses(expression: Json, field: string): readonly Cause[] {
  const operator = textAt(expression, 'operator');
  const count = listAt(expression, 'values').length;
  if (['In', 'NotIn'].includes(operator))
    return count > 0
      ? []
      : [required(`${field}.values`, "must be specified when `operator` is 'In' or 'NotIn'")];
  if (!['Exists', 'DoesNotExist'].includes(operator))
    return [invalid(`${field}.operator`, operator, 'not a valid selector operator')];
  if (count === 0) return [];
  return [forbidden(`${field}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")];
}

/** As tables show it: `a=b,c in (d,e),!f`. */
export function labelSelectorText(selector: Json | undefined): string {
  const labels = Object.entries(mapAt(selector, 'matchLabels')).map(
    ([key, value]) => `${key}=${String(value)}`,
  );
  const expressions = listAt(selector, 'matchExpressions').map(expressionText);
  return [...labels, ...expressions].sort().join(',') || '<none>';
}

function expressionText(expression: Json): string {
  const key = textAt(expression, 'key');
  const values = listAt(expression, 'values').map(String).sort().join(',');
  switch (textAt(expression, 'operator')) {
    case 'In':
      return `${key} in (${values})`;
    case 'NotIn':
      return `${key} notin (${values})`;
    case 'DoesNotExist':
      return `!${key}`;
    default:
      return key;
  }
}
