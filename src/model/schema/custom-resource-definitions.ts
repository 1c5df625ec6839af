// SPDX-License-Identifier: Apache-2.0
/**
 * The CustomResourceDefinitions under which a Kubernetes API keeps Calico's kinds and ClusterNetworkPolicy: manifests/crds.yaml.
 *
 * Names, status sub-resources and selectable fields are those of Calico's own v3 definitions, so that its manifests apply to
 * ours and ours to its. What Calico checks in Go alone cannot be said here: the agent refuses it (../validate).
 *
 * @see Calico, api/config/crd; Kubernetes, apiextensions.k8s.io/v1
 */
import { type KindRow, kindRow } from '../kinds.ts';
import { manifestText } from '../manifest/print.ts';
import type { JsonObject, ResourceKind } from '../types.ts';
import { type SchemaKind, schemas } from './catalogue.ts';
import type { PublishedFormat, Schema } from './schema.ts';

interface PrinterColumn {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'number' | 'boolean' | 'date';
  readonly jsonPath: string;
  readonly description: string;
}

function printed(
  name: string,
  jsonPath: string,
  description: string,
  type: PrinterColumn['type'] = 'string',
): PrinterColumn {
  return { name, type, jsonPath, description };
}

const age = printed('Age', '.metadata.creationTimestamp', 'When it was made', 'date');

function condition(name: string, type: string): PrinterColumn {
  return printed(name, `.status.conditions[?(@.type=="${type}")].status`, `Whether it is ${type}`);
}

const policyColumns: readonly PrinterColumn[] = [
  printed('Tier', '.spec.tier', 'The tier that it belongs to'),
  printed('Order', '.spec.order', 'Its place in the tier, the lowest first', 'number'),
];

const columns: { readonly [K in ResourceKind]?: readonly PrinterColumn[] } = {
  NetworkPolicy: policyColumns,
  GlobalNetworkPolicy: policyColumns,
  StagedNetworkPolicy: policyColumns,
  StagedGlobalNetworkPolicy: policyColumns,
  Tier: [
    printed('Order', '.spec.order', 'Its place among the tiers, the lowest first', 'integer'),
    printed('DefaultAction', '.spec.defaultAction', 'What becomes of a packet that no policy decides'),
    condition('Status', 'Ready'),
  ],
  IPPool: [
    printed('CIDR', '.spec.cidr', 'The addresses'),
    printed('VXLAN', '.spec.vxlanMode', 'When VXLAN is used'),
    printed('IPIP', '.spec.ipipMode', 'When IP-in-IP is used'),
    printed('NAT', '.spec.natOutgoing', 'Whether what leaves the pools is translated', 'boolean'),
    condition('Allocatable', 'Allocatable'),
    age,
  ],
  ClusterNetworkPolicy: [
    printed('Tier', '.spec.tier', 'Admin or Baseline'),
    printed('Priority', '.spec.priority', 'Its place in the tier, the lowest first', 'integer'),
    age,
  ],
};

/** Kinds that Calico defines no resource for: on Kubernetes they are made from other objects. */
const notDefined: ReadonlySet<SchemaKind> = new Set<SchemaKind>([
  'KubernetesNetworkPolicy',
  'Profile',
  'CalicoWorkloadEndpoint',
  'CalicoNode',
  'LiveMigration',
]);

/** As a real server with Calico's definitions answered: test/data/k8s-transcripts, topics calico-*. */
const withoutStatus: ReadonlySet<ResourceKind> = new Set<ResourceKind>([
  'NetworkPolicy',
  'BGPConfiguration',
  'BGPFilter',
  'FelixConfiguration',
  'IPReservation',
  'NetworkSet',
  'StagedKubernetesNetworkPolicy',
]);

const selectedByTier: ReadonlySet<ResourceKind> = new Set<ResourceKind>([
  'NetworkPolicy',
  'GlobalNetworkPolicy',
  'StagedNetworkPolicy',
  'StagedGlobalNetworkPolicy',
]);

/**
 * What Calico's definitions fill in and our schemas do not, as there it is filled in where it is read (../defaults.ts): other
 * programs that read the cluster expect it written.
 */
const defaults: { readonly [K in ResourceKind]?: JsonObject } = {
  Tier: { defaultAction: 'Deny' },
  IPPool: { nodeSelector: 'all()' },
  FelixConfiguration: { nftablesMode: 'Auto', nftablesFlowTableOffload: 'Disabled' },
};

/** Fewer than on our command line: in a cluster they are shared with everybody's kinds. */
const shortNamesInClusters: { readonly [K in ResourceKind]?: readonly string[] } = {
  NetworkPolicy: ['cnp', 'caliconetworkpolicy'],
  GlobalNetworkPolicy: ['gnp', 'cgnp'],
  StagedNetworkPolicy: ['snp', 'scnp'],
  StagedGlobalNetworkPolicy: ['sgnp'],
  StagedKubernetesNetworkPolicy: ['sknp'],
  GlobalNetworkSet: ['gns'],
  HostEndpoint: ['hep', 'heps'],
  BGPConfiguration: ['bgpconfig', 'bgpconfigs'],
  KubeControllersConfiguration: ['kcc', 'kccs'],
  ClusterInformation: ['clusterinfo', 'clusterinfos'],
  IPAMConfiguration: ['ipamconfig', 'ipamconfigs'],
  BlockAffinity: ['affinity', 'affinities'],
  ClusterNetworkPolicy: ['cnp'],
};

/** Of these an object without spec means nothing. */
const wantsSpec: ReadonlySet<ResourceKind> = new Set<ResourceKind>([
  ...selectedByTier,
  'Tier',
  'StagedKubernetesNetworkPolicy',
]);

export const definedKinds: readonly SchemaKind[] = (Object.keys(schemas) as SchemaKind[]).filter(
  (kind) => !notDefined.has(kind),
);

/** The whole of manifests/crds.yaml. */
export function crdsText(): string {
  const head =
    '# SPDX-License-Identifier: Apache-2.0\n# Made by scripts/generate-crds.ts from src/model/schema.\n';
  return (
    head +
    customResourceDefinitions()
      .map((each) => `---\n${manifestText(each)}`)
      .join('')
  );
}

/** By name. */
export function customResourceDefinitions(): readonly JsonObject[] {
  return definedKinds
    .map((kind) => definition(kindRow(kind), schemas[kind]))
    .sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
}

function nameOf(definition: JsonObject): string {
  return (definition.metadata as { name: string }).name;
}

function definition(row: KindRow, schema: Schema): JsonObject {
  const [group = '', version = ''] = row.apiVersion.split('/');
  const { plural, singular, writtenKind: kind } = row;
  const shortNames = shortNamesInClusters[row.kind] ?? [];
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: {
      name: `${plural}.${group}`,
      ...(group.endsWith('k8s.io')
        ? {
            annotations: {
              'api-approved.kubernetes.io': 'https://github.com/kubernetes-sigs/network-policy-api',
            },
          }
        : {}),
    },
    spec: {
      group,
      names: {
        kind,
        listKind: `${kind}List`,
        plural,
        singular,
        ...(shortNames.length ? { shortNames } : {}),
      },
      scope: row.namespaced ? 'Namespaced' : 'Cluster',
      versions: [{ name: version, served: true, storage: true, ...versionOf(row.kind, schema) }],
    },
  };
}

function versionOf(kind: ResourceKind, schema: Schema): JsonObject {
  const printerColumns = columns[kind];
  return {
    schema: { openAPIV3Schema: definedSchema(kind, schema) },
    ...(printerColumns ? { additionalPrinterColumns: printerColumns.map((column) => ({ ...column })) } : {}),
    ...(selectedByTier.has(kind) ? { selectableFields: [{ jsonPath: '.spec.tier' }] } : {}),
    ...(withoutStatus.has(kind) ? {} : { subresources: { status: {} } }),
  };
}

function definedSchema(kind: ResourceKind, schema: Schema): JsonObject {
  const { properties = {}, required = [] } = schema;
  const { spec = {} } = properties;
  const fields = { ...spec.properties };
  for (const [name, value] of Object.entries(defaults[kind] ?? {}))
    fields[name] = { ...fields[name], default: value };
  return published({
    ...schema,
    properties: { ...properties, spec: { ...spec, ...(spec.properties ? { properties: fields } : {}) } },
    required: [...new Set([...required, ...(wantsSpec.has(kind) ? ['spec'] : [])])],
  });
}

const publishedFormats: ReadonlySet<string> = new Set<PublishedFormat>([
  'int32',
  'int64',
  'cidr',
  'date-time',
]);

/** Without the formats that only we know. */
function published(schema: Schema): JsonObject {
  const { format, properties, items, additionalProperties, ...rest } = schema;
  return {
    ...(rest as JsonObject),
    ...(format !== undefined && publishedFormats.has(format) ? { format } : {}),
    ...(properties ? { properties: publishedEach(properties) } : {}),
    ...(items ? { items: published(items) } : {}),
    ...(additionalProperties ? { additionalProperties: published(additionalProperties) } : {}),
  };
}

function publishedEach(properties: { readonly [name: string]: Schema }): JsonObject {
  return Object.fromEntries(Object.entries(properties).map(([name, schema]) => [name, published(schema)]));
}
