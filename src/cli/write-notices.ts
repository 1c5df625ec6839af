// SPDX-License-Identifier: Apache-2.0
/** What people should know of what they write, though it is valid: no error, nothing is held back. */
import type { Stored } from '../contract/datastore.ts';
import { builtinTiers } from '../model/builtin.ts';
import { memberAt, textAt } from '../model/json.ts';
import { keyOf, keyPath, kindRow } from '../model/kinds.ts';
import { isPolicyKind } from '../model/policy-value.ts';
import type { Resource } from '../model/types.ts';
import { hasEffect } from '../model/updates.ts';
import { objectName } from './object-name.ts';

/** @param stored - by path. */
export function noticesOf(
  resources: readonly Resource[],
  stored: ReadonlyMap<string, Stored>,
): readonly string[] {
  return [
    ...lockedStore(stored),
    ...missingTiers(resources, stored),
    ...missingNodes(resources, stored),
    ...withoutEffect(resources),
    ...settingsOfNobody(resources),
  ];
}

/** While everything is moved to another store. @see migration.ts */
function lockedStore(stored: ReadonlyMap<string, Stored>): readonly string[] {
  const information = stored.get(keyPath({ kind: 'ClusterInformation', name: 'default' }));
  return information && memberAt(information.resource, 'spec', 'datastoreReady') === false
    ? ['the datastore is locked for a migration: what is written after the export stays behind']
    : [];
}

function missingTiers(
  resources: readonly Resource[],
  stored: ReadonlyMap<string, Stored>,
): readonly string[] {
  const tiers = new Set(resources.filter(({ kind }) => kind === 'Tier').map(({ metadata }) => metadata.name));
  return resources.flatMap((resource) => {
    const { kind } = keyOf(resource);
    if (!isPolicyKind(kind) || kind === 'ClusterNetworkPolicy') return []; // its tiers are built in
    const name = textAt(resource, 'spec', 'tier');
    if (
      name === '' ||
      builtinTiers.has(name) ||
      tiers.has(name) ||
      stored.has(keyPath({ kind: 'Tier', name }))
    )
      return [];
    return [
      `${objectName(resource)}: tier ${name} does not exist; the policy is enforced after all tiers until it does`,
    ];
  });
}

function withoutEffect(resources: readonly Resource[]): readonly string[] {
  const inert = resources
    .map((resource) => keyOf(resource).kind)
    .filter((kind) => !hasEffect(kind) && kind !== 'Service'); // what acts on those is the node's data plane
  const names = [...new Set(inert)].map((kind) => kindRow(kind).writtenKind);
  return names.length === 0 ? [] : [`${names.join(', ')}: checked and stored; nothing acts on that yet`];
}

function settingsOfNobody(resources: readonly Resource[]): readonly string[] {
  const isOfNobody = (resource: Resource) =>
    keyOf(resource).kind === 'FelixConfiguration' &&
    !/^(default$|node\.)/.test(resource.metadata.name) &&
    textAt(resource, 'spec', 'nodeSelector') === '';
  return resources
    .filter(isOfNobody)
    .map(
      (resource) =>
        `${objectName(resource)}: holds on no node: want the name default or node.NAME, or a nodeSelector`,
    );
}

/** Where nobody stores nodes, none can be missed. */
function missingNodes(
  resources: readonly Resource[],
  stored: ReadonlyMap<string, Stored>,
): readonly string[] {
  const isNode = (kind: string) => kind === 'Node' || kind === 'CalicoNode';
  const known = new Set([
    ...[...stored.values()].filter(({ key }) => isNode(key.kind)).map(({ key }) => key.name),
    ...resources.filter(({ kind }) => kind === 'Node').map(({ metadata }) => metadata.name),
  ]);
  if (known.size === 0) return [];
  return resources.flatMap((resource) => {
    const node = textAt(resource, 'spec', 'node');
    if (keyOf(resource).kind !== 'HostEndpoint' || known.has(node)) return [];
    return [`${objectName(resource)}: node ${node} does not exist; it is in force nowhere until it does`];
  });
}
