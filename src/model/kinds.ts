// SPDX-License-Identifier: Apache-2.0
/**
 * The kinds of resource: what they are called in manifests and on the command line, and how a list of them is printed.
 *
 * Owns:       the table of kinds; keys and their text.
 * Invariants: a (apiVersion, kind) pair names at most one kind, and so does a command-line name.
 * Next:       validate/resource.ts holds what each may contain, updates.ts what the graph makes of it.
 */
import type { KeyPath } from '../lib/brand.ts';
import { InvalidError } from '../lib/errors.ts';
import { listAt, memberAt, textAt, textMapAt } from './json.ts';
import type { Resource, ResourceKey, ResourceKind } from './types.ts';

export const calicoVersion = 'projectcalico.org/v3';

export interface Column {
  readonly title: string;
  readonly cell: (resource: Resource) => string;
  /** Only in wide output. */
  readonly wide?: true;
}

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

const labels: Column = {
  title: 'LABELS',
  wide: true,
  cell: (resource) =>
    [...textMapAt(resource, 'metadata', 'labels')].map(([key, value]) => `${key}=${value}`).join(','),
};
const policyColumns: readonly Column[] = [
  spec('TIER', 'tier'),
  spec('ORDER', 'order'),
  spec('SELECTOR', 'selector', true),
  { title: 'TYPES', wide: true, cell: (resource) => listAt(resource, 'spec', 'types').join(',') },
];
const netsColumn: Column = {
  title: 'NETS',
  wide: true,
  cell: (resource) => listAt(resource, 'spec', 'nets').join(','),
};

export const kinds: readonly KindRow[] = [
  {
    ...kubernetes('Namespace', 'namespaces', 'namespace', ['ns'], false),
    columns: [
      { title: 'STATUS', cell: (resource) => textAt(resource, 'status', 'phase') || 'Active' },
      labels,
    ],
  },
  { ...kubernetes('ServiceAccount', 'serviceaccounts', 'serviceaccount', ['sa'], true), columns: [labels] },
  {
    ...kubernetes('Pod', 'pods', 'pod', ['po'], true),
    columns: [
      { title: 'STATUS', cell: (resource) => textAt(resource, 'status', 'phase') },
      { title: 'IP', cell: (resource) => textAt(resource, 'status', 'podIP') },
      { title: 'NODE', cell: (resource) => textAt(resource, 'spec', 'nodeName') },
      labels,
    ],
  },
  {
    ...kubernetes('Node', 'nodes', 'node', ['no'], false),
    columns: [
      {
        title: 'ADDRESSES',
        cell: (resource) =>
          listAt(resource, 'status', 'addresses')
            .map((row) => textAt(row, 'address'))
            .join(','),
      },
      labels,
    ],
  },
  {
    kind: 'KubernetesNetworkPolicy',
    apiVersion: 'networking.k8s.io/v1',
    writtenKind: 'NetworkPolicy',
    plural: 'kubernetesnetworkpolicies',
    singular: 'kubernetesnetworkpolicy',
    shortNames: ['netpol', 'knp', 'networkpolicies.networking.k8s.io', 'networkpolicy.networking.k8s.io'],
    namespaced: true,
    columns: [
      {
        title: 'POD-SELECTOR',
        cell: (resource) => podSelectorCell(memberAt(resource, 'spec', 'podSelector')),
      },
      { title: 'TYPES', wide: true, cell: (resource) => listAt(resource, 'spec', 'policyTypes').join(',') },
    ],
  },
  {
    ...calico(
      'NetworkPolicy',
      'networkpolicies',
      'networkpolicy',
      ['np', 'cnp', 'caliconetworkpolicy'],
      true,
    ),
    columns: policyColumns,
  },
  {
    ...calico('GlobalNetworkPolicy', 'globalnetworkpolicies', 'globalnetworkpolicy', ['gnp', 'cgnp'], false),
    columns: policyColumns,
  },
  {
    ...calico('Tier', 'tiers', 'tier', [], false),
    columns: [spec('ORDER', 'order'), spec('DEFAULTACTION', 'defaultAction')],
  },
  {
    ...calico('NetworkSet', 'networksets', 'networkset', ['netset', 'netsets'], true),
    columns: [netsColumn],
  },
  {
    ...calico('GlobalNetworkSet', 'globalnetworksets', 'globalnetworkset', ['gns'], false),
    columns: [netsColumn],
  },
  {
    ...calico('IPPool', 'ippools', 'ippool', ['ipp', 'pool', 'pools'], false),
    columns: [
      spec('CIDR', 'cidr'),
      spec('SELECTOR', 'nodeSelector'),
      spec('NAT', 'natOutgoing', true),
      spec('IPIPMODE', 'ipipMode', true),
      spec('VXLANMODE', 'vxlanMode', true),
      spec('DISABLED', 'disabled', true),
      spec('DISABLEBGPEXPORT', 'disableBGPExport', true),
    ],
  },
  {
    ...calico('Profile', 'profiles', 'profile', ['pro', 'pros'], false),
    columns: [
      {
        title: 'LABELSTOAPPLY',
        wide: true,
        cell: (resource) => [...textMapAt(resource, 'spec', 'labelsToApply').keys()].join(','),
      },
    ],
  },
  {
    ...calico('StagedNetworkPolicy', 'stagednetworkpolicies', 'stagednetworkpolicy', ['snp', 'scnp'], true),
    columns: policyColumns,
  },
  {
    ...calico(
      'StagedGlobalNetworkPolicy',
      'stagedglobalnetworkpolicies',
      'stagedglobalnetworkpolicy',
      ['sgnp'],
      false,
    ),
    columns: policyColumns,
  },
  {
    ...calico(
      'StagedKubernetesNetworkPolicy',
      'stagedkubernetesnetworkpolicies',
      'stagedkubernetesnetworkpolicy',
      ['sknp'],
      true,
    ),
    columns: [],
  },
  {
    ...calico('HostEndpoint', 'hostendpoints', 'hostendpoint', ['hep', 'heps'], false),
    columns: [spec('NODE', 'node'), spec('INTERFACE', 'interfaceName')],
  },
  {
    ...calico(
      'FelixConfiguration',
      'felixconfigurations',
      'felixconfiguration',
      ['felixconfig', 'felixconfigs'],
      false,
    ),
    columns: [],
  },
  { ...calico('IPReservation', 'ipreservations', 'ipreservation', [], false), columns: [] },
  {
    ...calico('IPAMConfiguration', 'ipamconfigurations', 'ipamconfiguration', ['ipamconfig'], false),
    columns: [],
  },
  { ...calico('IPAMBlock', 'ipamblocks', 'ipamblock', [], false), columns: [] },
  { ...calico('IPAMHandle', 'ipamhandles', 'ipamhandle', [], false), columns: [] },
  {
    ...calico('BlockAffinity', 'blockaffinities', 'blockaffinity', ['affinity', 'affinities'], false),
    columns: [],
  },
  {
    ...calico(
      'BGPConfiguration',
      'bgpconfigurations',
      'bgpconfiguration',
      ['bgpconfig', 'bgpconfigs'],
      false,
    ),
    columns: [],
  },
  { ...calico('BGPPeer', 'bgppeers', 'bgppeer', ['bgpp', 'bgpps'], false), columns: [] },
  { ...calico('BGPFilter', 'bgpfilters', 'bgpfilter', [], false), columns: [] },
  {
    ...calico(
      'CalicoNodeStatus',
      'caliconodestatuses',
      'caliconodestatus',
      ['nodestatus', 'nodestatuses'],
      false,
    ),
    columns: [],
  },
  {
    ...calico(
      'ClusterInformation',
      'clusterinformations',
      'clusterinformation',
      ['clusterinfo', 'clusterinfos'],
      false,
    ),
    columns: [],
  },
  {
    ...calico(
      'KubeControllersConfiguration',
      'kubecontrollersconfigurations',
      'kubecontrollersconfiguration',
      ['kcc', 'kccs', 'kubecontrollersconfig', 'kubecontrollersconfigs'],
      false,
    ),
    columns: [],
  },
  {
    ...calico(
      'CalicoWorkloadEndpoint',
      'workloadendpoints',
      'workloadendpoint',
      ['wep', 'weps'],
      true,
      'WorkloadEndpoint',
    ),
    columns: [],
  },
  { ...calico('CalicoNode', 'caliconodes', 'caliconode', [], false, 'Node'), columns: [] },
  { ...calico('LiveMigration', 'livemigrations', 'livemigration', [], true), columns: [] },
  { ...kubernetes('Service', 'services', 'service', ['svc'], true), columns: [] },
  {
    ...kubernetes('EndpointSlice', 'endpointslices', 'endpointslice', [], true),
    apiVersion: 'discovery.k8s.io/v1',
    columns: [],
  },
  {
    ...kubernetes('ClusterNetworkPolicy', 'clusternetworkpolicies', 'clusternetworkpolicy', ['kcnp'], false),
    apiVersion: 'policy.networking.k8s.io/v1alpha2',
    columns: [],
  },
];

const rowByKind = new Map(kinds.map((row) => [row.kind, row]));
const rowByWritten = new Map(kinds.map((row) => [`${row.apiVersion} ${row.writtenKind}`, row]));
const rowByName = new Map(kinds.flatMap((row) => namesOf(row).map((name) => [name, row] as const)));

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

/** As kubectl prints label selectors: metav1.FormatLabelSelector. */
function podSelectorCell(selector: unknown): string {
  const labels = [...textMapAt(selector, 'matchLabels')].map(([key, value]) => `${key}=${value}`).sort();
  const expressions = listAt(selector, 'matchExpressions').map((each) => {
    const key = textAt(each, 'key');
    const values = `(${listAt(each, 'values').join(',')})`;
    const forms: { readonly [operator: string]: string } = {
      In: `${key} in ${values}`,
      NotIn: `${key} notin ${values}`,
      Exists: key,
      DoesNotExist: `!${key}`,
    };
    return forms[textAt(each, 'operator')] ?? '?';
  });
  return [...labels, ...expressions].join(',') || '<none>';
}

function namesOf(row: KindRow): string[] {
  const names = [row.plural, row.singular, ...row.shortNames];
  const group = row.apiVersion.includes('/') ? row.apiVersion.slice(0, row.apiVersion.indexOf('/')) : '';
  if (group === 'projectcalico.org') names.push(`${row.plural}.${group}`, `${row.singular}.${group}`);
  return names;
}

function calico(
  kind: ResourceKind,
  plural: string,
  singular: string,
  shortNames: string[],
  namespaced: boolean,
  writtenKind: string = kind,
) {
  return {
    kind,
    apiVersion: calicoVersion,
    writtenKind,
    plural,
    singular,
    shortNames,
    namespaced,
  } as const;
}

function kubernetes(
  kind: ResourceKind,
  plural: string,
  singular: string,
  shortNames: string[],
  namespaced: boolean,
) {
  return { kind, apiVersion: 'v1', writtenKind: kind, plural, singular, shortNames, namespaced } as const;
}

function spec(title: string, field: string, wide?: true): Column {
  const cell = (resource: Resource) => String(memberAt(resource, 'spec', field) ?? '');
  return wide ? { title, cell, wide } : { title, cell };
}
