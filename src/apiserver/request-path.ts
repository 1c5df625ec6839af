// SPDX-License-Identifier: Apache-2.0
/** What a path and a method ask for, in the words of RBAC (k8s.io/apiserver/pkg/endpoints/request, RequestInfoFactory). */

export interface ResourcePath {
  readonly type: 'resource';
  /** `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`. */
  readonly verb: string;
  readonly group: string;
  readonly version: string;
  /** '' for what is in none, and for all. */
  readonly namespace: string;
  readonly resource: string;
  readonly subresource: string;
  /** '' for the collection. */
  readonly name: string;
  /** Segments beyond the subresource: `nodes/n/proxy/metrics`. */
  readonly rest: readonly string[];
  /** Whether a namespace stands in the path. */
  readonly inNamespace: boolean;
  readonly path: string;
}

export interface OtherPath {
  readonly type: 'other';
  /** The method in small letters. */
  readonly verb: string;
  readonly path: string;
}

export type RequestPath = ResourcePath | OtherPath;

const verbs: { readonly [method: string]: string } = {
  POST: 'create',
  GET: 'get',
  HEAD: 'get',
  PUT: 'update',
  PATCH: 'patch',
  DELETE: 'delete',
};

/** Subresources of a namespace, which are not resources inside it. */
const ofNamespaces = new Set(['status', 'finalize']);

export function parsePath(method: string, path: string, query: URLSearchParams): RequestPath {
  const parts = path
    .split('/')
    .filter((part) => part !== '')
    .map(decoded);
  const other = { type: 'other', verb: method.toLowerCase(), path } as const;
  const isCore = parts[0] === 'api';
  if (!isCore && parts[0] !== 'apis') return other;
  const [group, version, ...segments] = isCore ? ['', ...parts.slice(1)] : parts.slice(1);
  if (group === undefined || version === undefined || segments.length === 0) return other;
  const isOldWatch = segments[0] === 'watch';
  if (isOldWatch) segments.shift();
  if (segments.length === 0) return other;
  const place = placeOf(segments);
  const verb = isOldWatch ? 'watch' : verbOf(verbs[method] ?? method.toLowerCase(), place.name, query);
  return { type: 'resource', verb, group, version, ...place, path };
}

type Place = Pick<ResourcePath, 'namespace' | 'resource' | 'subresource' | 'name' | 'rest' | 'inNamespace'>;

function placeOf(segments: readonly string[]): Place {
  const [first = '', second = '', third, ...after] = segments;
  if (first === 'namespaces' && third !== undefined && !ofNamespaces.has(third)) {
    const [name = '', subresource = '', ...rest] = after;
    return { namespace: second, resource: third, name, subresource, rest, inNamespace: true };
  }
  const namespace = first === 'namespaces' ? second : '';
  const subresource = third ?? '';
  return { namespace, resource: first, name: second, subresource, rest: after, inNamespace: false };
}

function verbOf(verb: string, name: string, query: URLSearchParams): string {
  if (name !== '') return verb;
  if (verb === 'get') return flagOf(query, 'watch') ? 'watch' : 'list';
  return verb === 'delete' ? 'deletecollection' : verb;
}

/** Go's reading of a boolean parameter: anything but absence, `false` and `0` is true. */
export function flagOf(query: URLSearchParams, name: string): boolean {
  const value = query.get(name);
  return value !== null && value !== '0' && value.toLowerCase() !== 'false';
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
