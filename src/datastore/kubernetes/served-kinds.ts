// SPDX-License-Identifier: Apache-2.0
/**
 * Which of our kinds this cluster serves, and under which address.
 *
 * Calico's own kinds are served natively (`projectcalico.org/v3`), or by an older Calico as `crd.projectcalico.org/v1`, which is
 * read and not written. What is not installed is no fault: there is nothing of it.
 */
import { isObject, listAt, textAt } from '../../model/json.ts';
import { calicoVersion, kindRow, kinds } from '../../model/kinds.ts';
import type { ResourceKey, ResourceKind } from '../../model/types.ts';

export interface ServedKind {
  readonly kind: ResourceKind;
  /** As the cluster has it: `projectcalico.org/v3`, `v1`. */
  readonly groupVersion: string;
  readonly plural: string;
  readonly namespaced: boolean;
  readonly hasStatus: boolean;
  /** Calico's older form, which only reading knows: crd-v1.ts. */
  readonly isCrdV1: boolean;
}

const crdV1 = 'crd.projectcalico.org/v1';

/** Where the older form has another plural. */
const crdV1Plurals: { readonly [K in ResourceKind]?: string } = { IPAMConfiguration: 'ipamconfigs' };

/** Kinds of ours whose names in Kubernetes are not ours. */
const plurals: { readonly [K in ResourceKind]?: string } = { KubernetesNetworkPolicy: 'networkpolicies' };

/** Kinds that no Kubernetes API stores: `Profile` and Calico's own Node and WorkloadEndpoint are made from its objects. */
const neverStored: ReadonlySet<ResourceKind> = new Set<ResourceKind>([
  'Profile',
  'CalicoNode',
  'CalicoWorkloadEndpoint',
]);

export type Discover = (groupVersion: string) => Promise<unknown>;

/** @param discover - the APIResourceList of a group version, or null when it is not served. */
export async function servedKinds(discover: Discover): Promise<ReadonlyMap<ResourceKind, ServedKind>> {
  const versions = [...new Set(kinds.map(({ apiVersion }) => apiVersion)), crdV1];
  const lists = new Map(
    await Promise.all(versions.map(async (version) => [version, await discover(version)] as const)),
  );
  const found = kinds.flatMap(({ kind }) => served(kind, lists) ?? []);
  return new Map(found.map((each) => [each.kind, each]));
}

function served(kind: ResourceKind, lists: ReadonlyMap<string, unknown>): ServedKind | null {
  const row = kindRow(kind);
  if (neverStored.has(kind)) return null;
  const native = entryOf(kind, row.apiVersion, plurals[kind] ?? row.plural, lists);
  if (native || row.apiVersion !== calicoVersion) return native;
  return entryOf(kind, crdV1, crdV1Plurals[kind] ?? row.plural, lists);
}

function entryOf(
  kind: ResourceKind,
  groupVersion: string,
  plural: string,
  lists: ReadonlyMap<string, unknown>,
): ServedKind | null {
  const entries = listAt(lists.get(groupVersion), 'resources').filter(isObject);
  const entry = entries.find(({ name }) => name === plural);
  if (!entry) return null;
  return {
    kind,
    groupVersion,
    plural,
    namespaced: entry.namespaced === true,
    hasStatus: entries.some((each) => textAt(each, 'name') === `${plural}/status`),
    isCrdV1: groupVersion === crdV1,
  };
}

/** `/apis/projectcalico.org/v3/namespaces/shop/networkpolicies`; without namespace those of all. */
export function collectionPath({ groupVersion, plural }: ServedKind, namespace?: string): string {
  const root = groupVersion.includes('/') ? `/apis/${groupVersion}` : `/api/${groupVersion}`;
  return namespace === undefined
    ? `${root}/${plural}`
    : `${root}/namespaces/${encodeURIComponent(namespace)}/${plural}`;
}

export function objectPath(served: ServedKind, { namespace, name }: ResourceKey): string {
  return `${collectionPath(served, namespace)}/${encodeURIComponent(name)}`;
}
