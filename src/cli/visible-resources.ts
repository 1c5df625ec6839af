// SPDX-License-Identifier: Apache-2.0
/**
 * What `get` shows: what is stored, what is built in, and, as calicoctl does, the v3 policies and profiles that
 * Kubernetes' objects stand for. The latter are made when looked at; nobody can write them.
 */
import type { Stored } from '../contract/datastore.ts';
import { builtinTiers, defaultAllowProfile } from '../model/builtin.ts';
import { calicoVersion, type KindRow, kindRow } from '../model/kinds.ts';
import { convertKubernetes } from '../model/kubernetes/convert.ts';
import type { Resource, ResourceKind } from '../model/types.ts';
import { validateResource } from '../model/validate/resource.ts';

const convertedFrom: { readonly [kind in ResourceKind]?: readonly ResourceKind[] } = {
  NetworkPolicy: ['KubernetesNetworkPolicy'],
  Profile: ['Namespace', 'ServiceAccount'],
};

/** @param converted - false leaves out what nobody can write: what stands for another object, and the built-in profile. */
export function visibleResources(
  row: KindRow,
  stored: readonly Stored[],
  converted: boolean,
): readonly Resource[] {
  const own = stored.filter(({ key }) => key.kind === row.kind).map((item) => underItsKey(item, row));
  const sources = converted ? (convertedFrom[row.kind] ?? []) : [];
  const made = stored
    .filter(({ key }) => sources.includes(key.kind))
    .flatMap(({ resource }) => conversion(resource));
  return [...builtin(row.kind, converted), ...own, ...made].sort(byName);
}

/** What was stored behind our back need not say what it is, and is listed all the same. */
function underItsKey({ key: { name, namespace }, resource }: Stored, row: KindRow): Resource {
  const metadata = { ...resource.metadata, name, ...(namespace === undefined ? {} : { namespace }) };
  return { ...resource, apiVersion: row.apiVersion, kind: row.writtenKind, metadata };
}

/** What was stored behind our back and is invalid stands for nothing. */
function conversion(resource: Resource): readonly Resource[] {
  const { resource: valid } = validateResource(resource);
  return valid ? [convertKubernetes(valid)] : [];
}

/** The built-in profile, too, is made when looked at: lists of several kinds are read back by `apply`, which refuses it. */
function builtin(kind: ResourceKind, converted: boolean): readonly Resource[] {
  const made = (name: string, spec: object): Resource => ({
    apiVersion: calicoVersion,
    kind: kindRow(kind).writtenKind,
    metadata: { name },
    spec,
  });
  if (kind === 'Tier') return [...builtinTiers].map(([name, spec]) => made(name, { ...spec }));
  const allow = [{ action: 'Allow' }];
  return kind === 'Profile' && converted
    ? [made(defaultAllowProfile, { ingress: allow, egress: allow })]
    : [];
}

function byName(a: Resource, b: Resource): number {
  return (
    compare(a.metadata.namespace ?? '', b.metadata.namespace ?? '') ||
    compare(a.metadata.name, b.metadata.name)
  );
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
