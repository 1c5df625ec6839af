// SPDX-License-Identifier: Apache-2.0
/**
 * Where a resource stands in etcd, and which one stands at a place: Calico's layout (libcalico-go, backend/model).
 *
 *     /calico/resources/v3/projectcalico.org/<plural>/[<namespace>/]<name>
 *     /calico/resources/v3/<API group, kubernetes.io for the core>/<plural>/...   Kubernetes' kinds, which Calico keeps nowhere here
 *     /calico/ipam/v2/...                                                         ipam-layout.ts
 *
 * Names stand as they are given. Calico before 3.32 wrote `default.web` for the policy `web` of the default tier; both are
 * read, each as the policy of that name, as Calico has it since.
 */

import { InvalidError } from '../../lib/errors.ts';
import { type KindRow, kinds } from '../../model/kinds.ts';
import type { Resource, ResourceKey, ResourceKind } from '../../model/types.ts';
import { ipamKeyAt, ipamPathOf, ipamPathsOf, ipamRanges, isIpamKind } from './ipam-layout.ts';

/** From `start` up to `end`, which is not in it; `end` empty: the one key. */
export interface KeyRange {
  readonly start: string;
  readonly end: string;
}

const resources = '/calico/resources/v3/';

/** All that is Calico's, and so ours. */
export const everything: KeyRange = under('/calico/');

/** Not the kind's plural here: Calico's Node is `nodes`, and Kubernetes' policies are called as Kubernetes calls them. */
const ownPlurals: { readonly [K in ResourceKind]?: string } = {
  CalicoNode: 'nodes',
  KubernetesNetworkPolicy: 'networkpolicies',
};

const stored = kinds.filter(({ kind }) => !isIpamKind(kind));
const folderByKind = new Map(
  stored.map((row) => [row.kind, `${resources}${groupOf(row)}/${pluralOf(row)}/`]),
);
const rowByFolder = new Map(stored.map((row) => [`${groupOf(row)}/${pluralOf(row)}`, row]));

/** What stands there; null: nothing that Muslin knows. */
export function keyAt(path: string): ResourceKey | null {
  if (!path.startsWith(resources)) return ipamKeyAt(path);
  const [group = '', plural = '', ...names] = path.slice(resources.length).split('/');
  const row = rowByFolder.get(`${group}/${plural}`);
  if (!row || names.length !== (row.namespaced ? 2 : 1) || names.includes('')) return null;
  const [first = '', second = ''] = names;
  return row.namespaced
    ? { kind: row.kind, namespace: first, name: second }
    : { kind: row.kind, name: first };
}

/**
 * Where a resource is written.
 *
 * @throws {InvalidError} when its name cannot stand there.
 */
export function pathOf(key: ResourceKey, resource: Resource): string {
  return isIpamKind(key.kind) ? ipamPathOf(key, resource) : resourcePath(key);
}

/** Where it is found: one place, or some, of which at most one holds it (ipam-layout.ts says why). */
export function pathsOf(key: ResourceKey): readonly string[] {
  return isIpamKind(key.kind) ? ipamPathsOf(key) : [resourcePath(key)];
}

/** Where all of a kind stand. */
export function rangesOf(kind: ResourceKind, namespace?: string): readonly KeyRange[] {
  if (isIpamKind(kind)) return ipamRanges(kind);
  const folder = folderByKind.get(kind);
  if (folder === undefined) throw new TypeError(`no such kind: ${kind}`);
  return [under(namespace === undefined ? folder : `${folder}${namespace}/`)];
}

function resourcePath({ kind, namespace, name }: ResourceKey): string {
  const names = namespace === undefined ? [name] : [namespace, name];
  if (names.some((each) => each === '' || each.includes('/')))
    throw new InvalidError(`cannot store ${kind} ${names.join('/')}: want names without '/'`);
  return `${folderByKind.get(kind)}${names.join('/')}`;
}

/** @param folder - ends with '/', after which '0' is next in ASCII. */
function under(folder: string): KeyRange {
  return { start: folder, end: `${folder.slice(0, -1)}0` };
}

function groupOf({ apiVersion }: KindRow): string {
  return apiVersion.includes('/') ? apiVersion.slice(0, apiVersion.indexOf('/')) : 'kubernetes.io';
}

function pluralOf({ kind, plural }: KindRow): string {
  return ownPlurals[kind] ?? plural;
}
