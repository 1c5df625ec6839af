// SPDX-License-Identifier: Apache-2.0
/** Profiles: what befalls an endpoint's traffic that no tier decided. */
import type { Resource } from '../types.ts';
import { calicoRule } from './calico-rule.ts';
import type { Directory } from './directory.ts';
import { fieldsIn, fieldsOf, listIn } from './fields.ts';
import { builtinProfile, namespaceOf } from './owner.ts';
import type { Direction, Rule } from './policy.ts';

export interface Profile {
  readonly name: string;
  readonly rules: { readonly [D in Direction]: readonly Rule[] };
}

const allowAll: Rule = { action: 'allow', matches: () => true };

const openBothWays = { ingress: [allowAll], egress: [allowAll] } as const;
const defaultAllow: Profile = { name: builtinProfile, rules: openBothWays };

/** Those built in or that follow from namespaces and service accounts come before stored ones of the same name. */
export function profilesOf(resources: readonly Resource[], directory: Directory): Profile[] {
  const derived = resources.flatMap(derivedProfile);
  return [defaultAllow, ...derived, ...resources.flatMap((resource) => storedProfile(resource, directory))];
}

function derivedProfile(resource: Resource): Profile[] {
  const { name } = resource.metadata;
  if (resource.kind === 'Namespace') {
    return [{ name: `kns.${name}`, rules: openBothWays }];
  }
  if (resource.kind !== 'ServiceAccount') return [];
  return [{ name: `ksa.${namespaceOf(resource)}.${name}`, rules: { ingress: [], egress: [] } }];
}

function storedProfile(resource: Resource, directory: Directory): Profile[] {
  if (resource.kind !== 'Profile') return [];
  const spec = fieldsIn(resource, 'spec');
  const rules = (direction: Direction) =>
    listIn(spec, direction).map((rule) => calicoRule(fieldsOf(rule), '', directory));
  return [{ name: resource.metadata.name, rules: { ingress: rules('ingress'), egress: rules('egress') } }];
}
