// SPDX-License-Identifier: Apache-2.0
/** Content negotiation as the API does it: exact media types, and what an object is shown as. */
import { ApiError } from './objects/api-error.ts';

export interface Shape {
  readonly encoding: 'json' | 'yaml';
  readonly as: 'Object' | 'Table' | 'PartialObjectMetadata' | 'PartialObjectMetadataList';
}

export interface Clause {
  readonly type: string;
  readonly parameters: ReadonlyMap<string, string>;
}

export const plainShape: Shape = { encoding: 'json', as: 'Object' };

const supported = 'application/json, application/yaml, application/vnd.kubernetes.protobuf';

export function clausesOf(accept: string): readonly Clause[] {
  return accept.split(',').map(clauseOf);
}

/** Also of a Content-Type. */
export function clauseOf(text: string): Clause {
  const [type = '', ...parameters] = text.split(';').map((part) => part.trim());
  const pairs = parameters.map((parameter): [string, string] => {
    const [name = '', value = ''] = parameter.split('=');
    return [name, value];
  });
  return { type: type.toLowerCase(), parameters: new Map(pairs) };
}

/**
 * The first form that the client takes and we have. Protobuf is not among ours: clients that take nothing else are refused.
 *
 * @throws {ApiError} 406
 */
export function negotiate(accept: string | undefined, isWatch: boolean): Shape {
  if (accept === undefined || accept === '') return plainShape;
  for (const clause of clausesOf(accept)) {
    const shape = shapeOf(clause);
    if (shape && !(isWatch && shape.encoding === 'yaml')) return shape;
  }
  throw notAcceptable(isWatch);
}

function shapeOf({ type, parameters }: Clause): Shape | null {
  const encoding =
    type === 'application/yaml' ? 'yaml' : type === 'application/json' || type === '*/*' ? 'json' : null;
  const as = parameters.get('as') ?? 'Object';
  if (!encoding || !isShown(as)) return null;
  if (as === 'Object') return { encoding, as };
  const inGroup = parameters.get('g') === 'meta.k8s.io';
  const version = parameters.get('v');
  const served = version === 'v1' || (version === 'v1beta1' && as === 'Table');
  return inGroup && served ? { encoding, as } : null;
}

function isShown(as: string): as is Shape['as'] {
  return ['Object', 'Table', 'PartialObjectMetadata', 'PartialObjectMetadataList'].includes(as);
}

/** How an error is told, whatever else the client accepts. */
export function errorEncoding(accept: string | undefined): 'json' | 'yaml' | 'protobuf' {
  const known = clausesOf(accept ?? '').flatMap(({ type }) => encodings[type] ?? []);
  return known[0] ?? 'json';
}

const encodings: { readonly [type: string]: 'json' | 'yaml' | 'protobuf' } = {
  'application/json': 'json',
  'application/yaml': 'yaml',
  'application/vnd.kubernetes.protobuf': 'protobuf',
};

function notAcceptable(isWatch: boolean): ApiError {
  const forms = isWatch
    ? 'application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch'
    : supported;
  return new ApiError(406, 'NotAcceptable', `only the following media types are accepted: ${forms}`);
}

export function unsupportedMedia(): ApiError {
  const message = `the body of the request was in an unknown format - accepted media types include: ${supported}`;
  return new ApiError(415, 'UnsupportedMediaType', message);
}
