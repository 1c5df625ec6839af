// SPDX-License-Identifier: Apache-2.0
/**
 * What an update may not change: the schemas' rules that compare with oldSelf. They run on the new object with its
 * defaults: a field that is left out changes to its default.
 */
import { member } from '../json.ts';
import type { Schema } from '../schema/schema.ts';
import { childPath, type Report } from './check.ts';
import { NodeRule } from './structural.ts';

/** Like a Check, with the stored value beside the new one. */
export type Transition = (value: unknown, old: unknown, path: string, report: Report) => void;

/** @returns null for a schema without such rules. Lists are not looked into: their items have no identity. */
export function compileTransitions(schema: Schema): Transition | null {
  const rules = (schema['x-kubernetes-validations'] ?? [])
    .map((rule) => new NodeRule(rule))
    .filter((rule) => rule.compiled.isTransition);
  const members = Object.entries(schema.properties ?? {}).flatMap(([name, child]) => {
    const transition = compileTransitions(child);
    return transition ? [{ name, transition }] : [];
  });
  if (rules.length + members.length === 0) return null;
  return (value, old, path, report) => {
    // as in an API server: what comes or goes is no transition
    if (value === undefined || old === undefined) return;
    for (const rule of rules) if (!rule.compiled.holds(value, old)) rule.tell(value, path, report);
    for (const { name, transition } of members)
      transition(member(value, name), member(old, name), childPath(path, name), report);
  };
}
