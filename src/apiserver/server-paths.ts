// SPDX-License-Identifier: Apache-2.0
/** Paths that are about the server, not about an object: discovery, schemas, version, health. */
import { createHash } from 'node:crypto';
import type { JsonObject } from '../model/types.ts';
import { type Answer, type ApiRequest, type JsonAnswer, json, text } from './answer.ts';
import type { Catalog } from './catalog.ts';
import {
  aggregated,
  aggregatedType,
  apiVersions,
  groupDocument,
  groupList,
  resourceList,
} from './discovery.ts';
import { clausesOf } from './media.ts';
import { openApiV2, openApiV3 } from './objects/openapi.ts';
import { noSuchPath, PlainNotFound } from './status.ts';

const version: JsonObject = {
  major: '1',
  minor: '36',
  emulationMajor: '1',
  emulationMinor: '36',
  minCompatibilityMajor: '1',
  minCompatibilityMinor: '35',
  gitVersion: 'v1.36.0+muslin',
  gitCommit: 'unknown',
  gitTreeState: 'clean',
  buildDate: '2026-01-01T00:00:00Z',
  goVersion: 'none',
  compiler: 'none',
  platform: 'linux/amd64',
};

export class ServerPaths {
  readonly #catalog: Catalog;
  /** Documents are made once for each state of the catalog. */
  readonly #documents = new Map<string, JsonObject>();
  #generation = -1;

  constructor(catalog: Catalog) {
    this.#catalog = catalog;
  }

  /** @throws {PlainNotFound} {ApiError} 404 */
  answer(request: ApiRequest): Answer {
    const parts = request.path.split('/').filter((part) => part !== '');
    const [first = '', second, third, ...more] = parts;
    switch (first) {
      case '':
        return json(200, { paths: this.#paths() });
      case 'version':
        return json(200, version);
      case 'healthz':
      case 'livez':
      case 'readyz':
        if (second === undefined || (second === 'ping' && third === undefined)) return text(200, 'ok');
        throw new PlainNotFound();
      case 'openapi':
        return this.#openApi(parts.slice(1));
      case 'api':
        if (second === undefined) return this.#root(request, true);
        return this.#version('', second);
      case 'apis':
        if (more.length > 0) throw new PlainNotFound();
        if (second === undefined) return this.#root(request, false);
        return third === undefined ? this.#group(second) : this.#version(second, third);
      default:
        throw new PlainNotFound();
    }
  }

  #root({ headers }: ApiRequest, isCore: boolean): JsonAnswer {
    const groups = isCore ? [{ group: '', versions: ['v1'] }] : this.#catalog.groups();
    if (!wantsAggregated(headers.accept)) {
      return json(200, isCore ? apiVersions('127.0.0.1') : groupList(this.#catalog));
    }
    return { ...json(200, aggregated(this.#catalog, groups)), contentType: aggregatedType };
  }

  #group(name: string): JsonAnswer {
    const found = this.#catalog.groups().find(({ group }) => group === name);
    if (!found) throw new PlainNotFound();
    return json(200, groupDocument(found));
  }

  #version(group: string, name: string): JsonAnswer {
    const resources = this.#catalog.resourcesOf(group, name);
    if (resources.length > 0)
      return json(200, resourceList(resources, group === '' ? name : `${group}/${name}`));
    throw this.#catalog.isBuiltinGroup(group) ? noSuchPath() : new PlainNotFound();
  }

  #openApi([kind, ...rest]: readonly string[]): JsonAnswer {
    if (kind === 'v2' && rest.length === 0)
      return json(
        200,
        this.#document('v2', () => openApiV2(this.#catalog.all)),
      );
    if (kind !== 'v3') throw new PlainNotFound();
    if (rest.length === 0)
      return { ...json(200, { paths: this.#schemaPaths() }), contentType: 'text/plain; charset=utf-8' };
    return json(200, this.#schemas(rest.join('/')));
  }

  #schemas(path: string): JsonObject {
    const [root = '', ...parts] = path.split('/');
    const [group = '', version = ''] = root === 'api' ? ['', ...parts] : parts;
    const resources = this.#catalog.resourcesOf(group, version);
    if (resources.length === 0) throw new PlainNotFound();
    return this.#document(path, () => openApiV3(group, version, resources));
  }

  /** Addresses change with what they lead to: clients keep documents by them. */
  #schemaPaths(): JsonObject {
    const versions = new Set(this.#catalog.all.map(({ group, version }) => pathOfVersion(group, version)));
    const entries = [...versions].map((path) => {
      const document = JSON.stringify(this.#schemas(path));
      const hash = createHash('sha512').update(document).digest('hex').toUpperCase();
      return [path, { serverRelativeURL: `/openapi/v3/${path}?hash=${hash}` }] as const;
    });
    return Object.fromEntries(entries);
  }

  #paths(): readonly string[] {
    const groups = this.#catalog
      .groups()
      .flatMap(({ group, versions }) => [
        `/apis/${group}`,
        ...versions.map((name) => `/apis/${group}/${name}`),
      ]);
    const own = ['/healthz', '/livez', '/openapi/v2', '/openapi/v3', '/readyz', '/version'];
    return ['/api', '/api/v1', '/apis', ...groups, ...own];
  }

  #document(name: string, make: () => JsonObject): JsonObject {
    if (this.#generation !== this.#catalog.generation) this.#documents.clear();
    this.#generation = this.#catalog.generation;
    const found = this.#documents.get(name) ?? make();
    this.#documents.set(name, found);
    return found;
  }
}

function pathOfVersion(group: string, version: string): string {
  return group === '' ? `api/${version}` : `apis/${group}/${version}`;
}

function wantsAggregated(accept = ''): boolean {
  return clausesOf(accept).some(
    ({ type, parameters }) =>
      type === 'application/json' &&
      parameters.get('as') === 'APIGroupDiscoveryList' &&
      parameters.get('v') === 'v2',
  );
}
