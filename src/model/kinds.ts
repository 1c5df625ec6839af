// SPDX-License-Identifier: Apache-2.0
/**
 * The kinds of resource: what they are called in manifests and on the command line, and how a list of them is printed.
 *
 * Owns:       the table of kinds; keys and their text.
 * Invariants: a (apiVersion, kind) pair names at most one kind, and so does a command-line name.
 * Next:       columns.ts holds what their lists show, validate/resource.ts what each may contain, updates.ts what the
 *             graph makes of it.
 */
import type { KeyPath } from '../lib/brand.ts';
import { InvalidError } from '../lib/errors.ts';
import { type Column, columns } from './columns.ts';
import type { Resource, ResourceKey, ResourceKind } from './types.ts';

export const calicoVersion = 'projectcalico.org/v3';

export interface KindRow {
  readonly kind: ResourceKind;
  /** As written in manifests. */
  readonly apiVersion: string;
  readonly writtenKind: string;
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly namespaced: boolean;
  /** After NAMESPACE and NAME, which printing adds. */
  readonly columns: readonly Column[];
}

export const kinds: readonly KindRow[] = [
  kubernetes('Namespace', 'v1', 'namespaces', 'namespace', ['ns'], false),
  kubernetes('ServiceAccount', 'v1', 'serviceaccounts', 'serviceaccount', ['sa'], true),
  kubernetes('Pod', 'v1', 'pods', 'pod', ['po'], true),
  kubernetes('Node', 'v1', 'nodes', 'node', ['no', 'nos'], false),
  kubernetes('Service', 'v1', 'services', 'service', ['svc'], true),
  kubernetes('EndpointSlice', 'discovery.k8s.io/v1', 'endpointslices', 'endpointslice', [], true),
  {
    ...kubernetes(
      'KubernetesNetworkPolicy',
      'networking.k8s.io/v1',
      'kubernetesnetworkpolicies',
      'kubernetesnetworkpolicy',
      ['netpol', 'knp', 'networkpolicies.networking.k8s.io', 'networkpolicy.networking.k8s.io'],
      true,
    ),
    writtenKind: 'NetworkPolicy',
  },
  kubernetes(
    'ClusterNetworkPolicy',
    'policy.networking.k8s.io/v1alpha2',
    'clusternetworkpolicies',
    'clusternetworkpolicy',
    ['kcnp'],
    false,
  ),
  calico(
    'NetworkPolicy',
    'networkpolicies',
    'networkpolicy',
    ['np', 'cnp', 'caliconetworkpolicy', 'policy', 'policies', 'pol', 'pols'],
    true,
  ),
  calico(
    'GlobalNetworkPolicy',
    'globalnetworkpolicies',
    'globalnetworkpolicy',
    ['gnp', 'gnps', 'cgnp'],
    false,
  ),
  calico('Tier', 'tiers', 'tier', [], false),
  calico('NetworkSet', 'networksets', 'networkset', ['netset', 'netsets'], true),
  calico('GlobalNetworkSet', 'globalnetworksets', 'globalnetworkset', ['gns'], false),
  calico('IPPool', 'ippools', 'ippool', ['ipp', 'ipps', 'pool', 'pools'], false),
  calico('Profile', 'profiles', 'profile', ['pro', 'pros'], false),
  calico(
    'StagedNetworkPolicy',
    'stagednetworkpolicies',
    'stagednetworkpolicy',
    ['snp', 'snps', 'scnp'],
    true,
  ),
  calico(
    'StagedGlobalNetworkPolicy',
    'stagedglobalnetworkpolicies',
    'stagedglobalnetworkpolicy',
    ['sgnp', 'sgnps'],
    false,
  ),
  calico(
    'StagedKubernetesNetworkPolicy',
    'stagedkubernetesnetworkpolicies',
    'stagedkubernetesnetworkpolicy',
    ['sknp', 'skpol', 'skpols', 'stagedkubernetespolicy', 'stagedkubernetespolicies'],
    true,
  ),
  calico('HostEndpoint', 'hostendpoints', 'hostendpoint', ['hep', 'heps'], false),
  calico(
    'FelixConfiguration',
    'felixconfigurations',
    'felixconfiguration',
    ['felixconfig', 'felixconfigs'],
    false,
  ),
  calico('IPReservation', 'ipreservations', 'ipreservation', ['reservation', 'reservations'], false),
  calico(
    'IPAMConfiguration',
    'ipamconfigurations',
    'ipamconfiguration',
    ['ipamconfig', 'ipamconfigs'],
    false,
  ),
  calico('IPAMBlock', 'ipamblocks', 'ipamblock', [], false),
  calico('IPAMHandle', 'ipamhandles', 'ipamhandle', [], false),
  calico('BlockAffinity', 'blockaffinities', 'blockaffinity', ['affinity', 'affinities'], false),
  calico('BGPConfiguration', 'bgpconfigurations', 'bgpconfiguration', ['bgpconfig', 'bgpconfigs'], false),
  calico('BGPPeer', 'bgppeers', 'bgppeer', ['bgpp', 'bgpps', 'bp', 'bps'], false),
  calico('BGPFilter', 'bgpfilters', 'bgpfilter', ['bgpf', 'bgpfs', 'bf', 'bfs'], false),
  calico('CalicoNodeStatus', 'caliconodestatuses', 'caliconodestatus', ['nodestatus', 'nodestatuses'], false),
  calico(
    'ClusterInformation',
    'clusterinformations',
    'clusterinformation',
    ['clusterinfo', 'clusterinfos'],
    false,
  ),
  calico(
    'KubeControllersConfiguration',
    'kubecontrollersconfigurations',
    'kubecontrollersconfiguration',
    ['kcc', 'kccs', 'kubecontrollersconfig', 'kubecontrollersconfigs'],
    false,
  ),
  {
    ...calico('CalicoWorkloadEndpoint', 'workloadendpoints', 'workloadendpoint', ['wep', 'weps'], true),
    writtenKind: 'WorkloadEndpoint',
  },
  {
    ...calico(
      'CalicoNode',
      'caliconodes',
      'caliconode',
      ['nodes.projectcalico.org', 'node.projectcalico.org'],
      false,
    ),
    writtenKind: 'Node',
  },
  calico('LiveMigration', 'livemigrations', 'livemigration', [], true),
];

const rowByKind = new Map(kinds.map((row) => [row.kind, row]));
const rowByWritten = new Map(kinds.map((row) => [`${row.apiVersion} ${row.writtenKind}`, row]));
const rowByName = new Map(kinds.flatMap((row) => namesOf(row).map((name) => [name, row] as const)));

/** False for what another version of Muslin, or another program, called something. */
export function isResourceKind(kind: string): kind is ResourceKind {
  return kinds.some((row) => row.kind === kind);
}

export function kindRow(kind: ResourceKind): KindRow {
  const row = rowByKind.get(kind);
  if (!row) throw new TypeError(`no such kind: ${kind}`);
  return row;
}

/** By the names of a manifest; null if they name nothing that is supported. */
export function rowOfManifest(apiVersion: string, kind: string): KindRow | null {
  return rowByWritten.get(`${apiVersion} ${kind}`) ?? null;
}

/** By a name on the command line, in any case: plural, singular, short, or with its API group. */
export function rowOfName(name: string): KindRow | null {
  return rowByName.get(name.toLowerCase()) ?? null;
}

/** @throws {InvalidError} unless apiVersion and kind name a supported kind. */
export function keyOf(resource: Resource): ResourceKey {
  const row = rowOfManifest(resource.apiVersion, resource.kind);
  if (!row) throw new InvalidError(`cannot name ${resource.apiVersion} ${resource.kind}: no such kind`);
  const { name, namespace } = resource.metadata;
  return row.namespaced
    ? { kind: row.kind, namespace: namespace ?? 'default', name }
    : { kind: row.kind, name };
}

/** `Kind/[namespace/]name`. */
export function keyPath(key: ResourceKey): KeyPath {
  return pathOf(key.kind, key.namespace, key.name);
}

/** For kinds of the graph that no resource has, too: `WorkloadEndpoint/default/web-0`. */
export function pathOf(kind: string, namespace: string | undefined, name: string): KeyPath {
  return (namespace === undefined ? `${kind}/${name}` : `${kind}/${namespace}/${name}`) as KeyPath;
}

function namesOf(row: KindRow): string[] {
  const names = [row.plural, row.singular, ...row.shortNames];
  const group = row.apiVersion.includes('/') ? row.apiVersion.slice(0, row.apiVersion.indexOf('/')) : '';
  if (group !== '') names.push(`${row.plural}.${group}`, `${row.singular}.${group}`);
  return names;
}

function calico(
  kind: ResourceKind,
  plural: string,
  singular: string,
  shortNames: readonly string[],
  namespaced: boolean,
): KindRow {
  return kubernetes(kind, calicoVersion, plural, singular, shortNames, namespaced);
}

function kubernetes(
  kind: ResourceKind,
  apiVersion: string,
  plural: string,
  singular: string,
  shortNames: readonly string[],
  namespaced: boolean,
): KindRow {
  return {
    kind,
    apiVersion,
    writtenKind: kind,
    plural,
    singular,
    shortNames,
    namespaced,
    columns: columns[kind],
  };
}
