// SPDX-License-Identifier: Apache-2.0
/** Where a resource was read: the annotation that manifest.ts writes and that rules carry to `explain`. */
import { isObject, listAt, memberAt, textAt, textMapAt } from './json.ts';
import { originAnnotation, type Resource } from './types.ts';

export interface ResourceOrigin {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** Of each rule, in order. */
  readonly rules: { readonly ingress: readonly number[]; readonly egress: readonly number[] };
}

/** Null when there is none, or someone else wrote something else: a rule without origin is a rule all the same. */
export function readOrigin(resource: Resource): ResourceOrigin | null {
  const text = textMapAt(resource, 'metadata', 'annotations').get(originAnnotation);
  if (text === undefined) return null;
  try {
    const origin: unknown = JSON.parse(text);
    const line = memberAt(origin, 'line');
    if (!isObject(origin) || textAt(origin, 'file') === '' || typeof line !== 'number') return null;
    const lines = (direction: string) =>
      listAt(origin, 'rules', direction).map((each) => Number(each) || line);
    return {
      file: textAt(origin, 'file'),
      line,
      rules: { ingress: lines('ingress'), egress: lines('egress') },
    };
  } catch {
    return null;
  }
}

/**
 * The annotation for a policy made from another, of whose rules each may have become any number: each stands where the one
 * stands that it came from. Null when nobody knows where that is.
 */
export function convertedOrigin(
  policy: Resource,
  groups: { readonly [D in 'ingress' | 'egress']: readonly (readonly unknown[])[] },
): { [annotation: string]: string } | null {
  const origin = readOrigin(policy);
  if (!origin) return null;
  const linesOf = (direction: 'ingress' | 'egress') =>
    groups[direction].flatMap((group, i) => group.map(() => origin.rules[direction][i] ?? origin.line));
  const rules = { ingress: linesOf('ingress'), egress: linesOf('egress') };
  return { [originAnnotation]: JSON.stringify({ ...origin, rules }) };
}
