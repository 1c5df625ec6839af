// SPDX-License-Identifier: Apache-2.0
/** Resources to do harm to: of every kind, with every field that its schema has, and as users write them. */
import { kindRow, kinds, rowOfManifest } from '../../src/model/kinds.ts';
import { type SchemaKind, schemas } from '../../src/model/schema/catalogue.ts';
import type { Json, Resource, ResourceKind } from '../../src/model/types.ts';
import { validateResource } from '../../src/model/validate/resource.ts';
import { CaseMaker } from '../../src/model/validate/schema-cases.ts';
import { fullPlan, generateCluster } from '../support/generate.ts';
import { Random } from '../support/random.ts';

const seed = 1;
const clusters = 12;
const only: { readonly [K in SchemaKind]?: string } = {
  IPAMConfiguration: 'default',
  ClusterInformation: 'default',
  KubeControllersConfiguration: 'default',
  BGPConfiguration: 'default',
};

/** Kubernetes' own kinds, of which there is no schema. */
const open: readonly Resource[] = [
  {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'api', namespace: 'red' },
    spec: { clusterIP: '10.96.0.7', selector: { app: 'a' }, ports: [{ port: 80, targetPort: 'http' }] },
  },
  {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: 'n2', annotations: { 'projectcalico.org/IPv4Address': '172.16.0.2/24' } },
    status: { addresses: [{ type: 'InternalIP', address: 'fd16::2' }] },
  },
];

/** By kind, so that each is as likely. */
export function basesByKind(): ReadonlyMap<ResourceKind, readonly Resource[]> {
  const all = [...schemaMade(), ...generated(), ...open];
  const byKind = Map.groupBy(all, ({ apiVersion, kind }) => rowOfManifest(apiVersion, kind)?.kind);
  return new Map(kinds.map(({ kind }) => [kind, byKind.get(kind) ?? []]));
}

function generated(): Resource[] {
  const random = new Random(seed);
  return Array.from({ length: clusters }, () => generateCluster(random, fullPlan).resources).flat();
}

/** Valid and with one fault each. */
function schemaMade(): Resource[] {
  return (Object.keys(schemas) as SchemaKind[]).flatMap(casesOf);
}

function casesOf(kind: SchemaKind): Resource[] {
  const { apiVersion, writtenKind } = kindRow(kind);
  const head = { apiVersion, kind: writtenKind, metadata: { name: only[kind] ?? 'x' } };
  const maker = new CaseMaker((resource) => validateResource(resource).faults.length === 0);
  const place = (spec: Json) => ({ ...head, spec });
  maker.visit(schemas[kind].properties?.spec ?? {}, 'spec', place);
  return maker.cases.map(({ resource }) => ({ ...head, ...(resource as object) }));
}
