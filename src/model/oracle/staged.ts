// SPDX-License-Identifier: Apache-2.0
/** Staged policies: what their author would put in force, and until then nothing. */
import type { Resource } from '../types.ts';
import { type Fields, fieldsIn, textIn } from './fields.ts';
import { namespaceOf } from './owner.ts';

interface Enforced {
  readonly apiVersion: string;
  readonly kind: string;
}

const calico = 'projectcalico.org/v3';

/** The policy that each kind stands for. */
const enforcedBy: ReadonlyMap<string, Enforced> = new Map([
  ['StagedNetworkPolicy', { apiVersion: calico, kind: 'NetworkPolicy' }],
  ['StagedGlobalNetworkPolicy', { apiVersion: calico, kind: 'GlobalNetworkPolicy' }],
  ['StagedKubernetesNetworkPolicy', { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy' }],
]);

/** The cluster as it would be with every staged policy put in force. */
export function pendingResources(resources: readonly Resource[]): Resource[] {
  const staged = resources.filter((resource) => enforcedBy.has(resource.kind));
  const leaving = new Set(staged.filter(replacesOrDeletes).map(targetOf));
  const staying = resources.filter((it) => !enforcedBy.has(it.kind) && !leaving.has(identity(it)));
  return [...staying, ...staged.filter(sets).map(enforced)];
}

function actionOf(staged: Resource): string {
  return textIn(fieldsIn(staged, 'spec'), 'stagedAction') || 'Set';
}

function sets(staged: Resource): boolean {
  return actionOf(staged) === 'Set';
}

function replacesOrDeletes(staged: Resource): boolean {
  return sets(staged) || actionOf(staged) === 'Delete';
}

function enforced(staged: Resource): Resource {
  const { stagedAction: _, ...spec }: Fields = fieldsIn(staged, 'spec');
  return { ...staged, ...enforcedBy.get(staged.kind), spec };
}

function targetOf(staged: Resource): string {
  return identity(enforced(staged));
}

/** Two API groups have a NetworkPolicy. */
function identity({ apiVersion, kind, metadata, ...rest }: Resource): string {
  const group = apiVersion.split('/')[0];
  const namespace = kind === 'NetworkPolicy' ? namespaceOf({ apiVersion, kind, metadata, ...rest }) : '';
  return [group, kind, namespace, metadata.name].join(' ');
}
