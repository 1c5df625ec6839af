// SPDX-License-Identifier: Apache-2.0
/** What the server serves, told to clients: documents of groups and resources, classic and aggregated. */
import { createHash } from 'node:crypto';
import type { JsonObject } from '../model/types.ts';
import type { Catalog, ServedGroup } from './catalog.ts';
import { present } from './object-meta.ts';
import type { ServedResource, Subresource } from './objects/served-resource.ts';
import { apiVersionOf } from './read.ts';

export function apiVersions(address: string): JsonObject {
  return {
    kind: 'APIVersions',
    versions: ['v1'],
    serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0', serverAddress: address }],
  };
}

export function groupList(catalog: Catalog): JsonObject {
  return { kind: 'APIGroupList', apiVersion: 'v1', groups: catalog.groups().map(groupFields) };
}

export function groupDocument(group: ServedGroup): JsonObject {
  return { kind: 'APIGroup', apiVersion: 'v1', ...groupFields(group) };
}

function groupFields({ group, versions }: ServedGroup): JsonObject {
  const named = versions.map((version) => ({ groupVersion: `${group}/${version}`, version }));
  return { name: group, versions: named, preferredVersion: named[0] ?? null };
}

/** @param isCore - the document of the core, older than the others, names no version of its own */
export function resourceList(resources: readonly ServedResource[], groupVersion: string): JsonObject {
  return {
    kind: 'APIResourceList',
    ...(groupVersion === 'v1' ? {} : { apiVersion: 'v1' }),
    groupVersion,
    resources: resources.flatMap(resourceEntries),
  };
}

function resourceEntries(resource: ServedResource): readonly JsonObject[] {
  const { plural, singular, namespaced, kind, verbs } = resource;
  const own = present({
    name: plural,
    singularName: singular,
    namespaced,
    kind,
    verbs: [...verbs],
    shortNames: resource.shortNames.length > 0 ? [...resource.shortNames] : undefined,
    categories: resource.categories.length > 0 ? [...resource.categories] : undefined,
    storageVersionHash: verbs.includes('list') ? storageHash(resource) : undefined,
  });
  return [
    ...(verbs.length > 0 ? [own] : []),
    ...resource.subresources.map((sub) => subresourceEntry(resource, sub)),
  ];
}

function subresourceEntry(resource: ServedResource, sub: Subresource): JsonObject {
  return present({
    name: `${resource.plural}/${sub.name}`,
    singularName: '',
    namespaced: resource.namespaced,
    group: sub.group,
    version: sub.version,
    kind: sub.kind ?? resource.kind,
    verbs: [...sub.verbs],
  });
}

function storageHash(resource: ServedResource): string {
  const text = `${apiVersionOf(resource)}/${resource.kind}`;
  return createHash('sha256').update(text).digest().subarray(0, 8).toString('base64');
}

// ---- aggregated (apidiscovery.k8s.io/v2) -------------------------------------------------------------------------------

export const aggregatedType = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';

/** @param groups - '' alone for /api, the others for /apis */
export function aggregated(catalog: Catalog, groups: readonly ServedGroup[]): JsonObject {
  return {
    kind: 'APIGroupDiscoveryList',
    apiVersion: 'apidiscovery.k8s.io/v2',
    metadata: {},
    items: groups.map(({ group, versions }) => ({
      metadata: group === '' ? {} : { name: group },
      versions: versions.map((version) => ({
        version,
        resources: catalog
          .resourcesOf(group, version)
          .filter(({ verbs }) => verbs.length > 0)
          .map(aggregatedResource),
        freshness: 'Current',
      })),
    })),
  };
}

function aggregatedResource(resource: ServedResource): JsonObject {
  const { plural, singular, group, version, kind, shortNames, categories, subresources } = resource;
  // built-in kinds are of the document's group and version
  const responseKind = resource.custom ? { group, version, kind } : { group: '', version: '', kind };
  return present({
    resource: plural,
    responseKind,
    scope: resource.namespaced ? 'Namespaced' : 'Cluster',
    singularResource: singular,
    verbs: [...resource.verbs],
    shortNames: shortNames.length > 0 ? [...shortNames] : undefined,
    categories: categories.length > 0 ? [...categories] : undefined,
    subresources:
      subresources.length > 0 ? subresources.map((sub) => aggregatedSubresource(resource, sub)) : undefined,
  });
}

function aggregatedSubresource(resource: ServedResource, sub: Subresource): JsonObject {
  const own = resource.custom
    ? { group: resource.group, version: resource.version }
    : { group: '', version: '' };
  return {
    subresource: sub.name,
    responseKind: {
      group: sub.group ?? own.group,
      version: sub.version ?? own.version,
      kind: sub.kind ?? resource.kind,
    },
    verbs: [...sub.verbs],
  };
}
