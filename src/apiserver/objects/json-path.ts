// SPDX-License-Identifier: Apache-2.0
/**
 * JSONPath as definitions use it for columns and selectable fields: `.a.b`, `['a']`, `[0]`, `[*]`, `[?(@.a=="b")]`.
 *
 * @see https://kubernetes.io/docs/reference/kubectl/jsonpath/
 */
import type { Json } from '../../model/types.ts';
import { isList, isMap, memberOf, valueAt } from './json.ts';

type Step = (value: Json) => readonly Json[];

const stepForm =
  /\.(?<name>(?:\\.|[^.[\]\\])+)|\[\s*(?:'(?<quoted>[^']*)'|"(?<double>[^"]*)"|(?<index>-?\d+)|(?<all>\*)|\?\(\s*@(?<path>[\w.]+)\s*(?<operator>==|!=)\s*(?:"(?<text>[^"]*)"|'(?<single>[^']*)'|(?<bare>[\w.-]+))\s*\))\s*\]/y;

/** The values that the path leads to. @returns null for a path outside of what is known */
export function compilePath(path: string): ((value: Json) => readonly Json[]) | null {
  const text = path.replace(/^\{(.*)\}$/s, '$1').replace(/^\$/, '');
  const steps: Step[] = [];
  for (let at = 0; at < text.length; at = stepForm.lastIndex) {
    stepForm.lastIndex = at;
    const groups = stepForm.exec(text)?.groups;
    if (!groups) return null;
    steps.push(stepOf(groups));
  }
  return (value) => steps.reduce<readonly Json[]>((values, step) => values.flatMap(step), [value]);
}

function stepOf(groups: { readonly [name: string]: string | undefined }): Step {
  const { name, quoted, double, index, all, path } = groups;
  const member = name?.replaceAll(/\\(.)/g, '$1') ?? quoted ?? double;
  if (member === '*' || all !== undefined) return membersOf;
  if (member !== undefined) return (value) => present(memberOf(value, member));
  if (index !== undefined) return (value) => present(isList(value) ? value.at(Number(index)) : undefined);
  const names = (path ?? '').split('.').slice(1);
  const want = groups.text ?? groups.single ?? groups.bare ?? '';
  const isEqual = groups.operator === '==';
  return (value) => membersOf(value).filter((item) => (String(valueAt(item, ...names)) === want) === isEqual);
}

function membersOf(value: Json): readonly Json[] {
  if (isList(value)) return value;
  return isMap(value) ? Object.values(value) : [];
}

function present(value: Json | undefined): readonly Json[] {
  return value === undefined ? [] : [value];
}
