// SPDX-License-Identifier: Apache-2.0
/** Objects and lists in the form that the client asked for: whole, as table, metadata alone. */
import type { JsonObject } from '../model/types.ts';
import type { Shape } from './media.ts';
import { ApiError } from './objects/api-error.ts';
import type { ApiObject } from './objects/object.ts';
import type { ServedResource } from './objects/served-resource.ts';
import { partialMetadata, tableOf } from './objects/table.ts';
import { type Listed, listObject } from './read.ts';
import { badRequest } from './status.ts';
import type { Rendering } from './watch.ts';

type Included = 'None' | 'Metadata' | 'Object';

export interface Showing {
  readonly resource: ServedResource;
  readonly shape: Shape;
  readonly query: URLSearchParams;
}

/** @throws {ApiError} 406 for a form that only lists have */
export function shownObject({ resource, shape, query }: Showing, object: ApiObject): JsonObject {
  switch (shape.as) {
    case 'Object':
      return object;
    case 'Table': {
      const { resourceVersion = '' } = object.metadata;
      return tableOf(resource, [object], { resourceVersion }, includedOf(query), new Date());
    }
    case 'PartialObjectMetadata':
      return partialMetadata(object);
    case 'PartialObjectMetadataList':
      throw notThis('PartialObjectMetadataList');
  }
}

export function shownList({ resource, shape, query }: Showing, listed: Listed): JsonObject {
  const { items } = listed;
  const { continue: token, ...others } = listed.metadata;
  const metadata = token ? { ...others, continue: token } : others;
  switch (shape.as) {
    case 'Object':
      return listObject(resource, listed);
    case 'Table':
      return tableOf(resource, items, metadata, includedOf(query), new Date());
    case 'PartialObjectMetadataList': {
      const type = { kind: 'PartialObjectMetadataList', apiVersion: 'meta.k8s.io/v1' };
      return { ...type, metadata, items: items.map(partialMetadata) };
    }
    case 'PartialObjectMetadata':
      throw notThis('PartialObjectMetadata');
  }
}

/** null: objects as they are. */
export function renderingOf({ resource, shape, query }: Showing): Rendering | null {
  if (shape.as === 'Object') return null;
  if (shape.as !== 'Table') return partialMetadata;
  const included = includedOf(query);
  return (object, isFirst) => {
    const { resourceVersion = '' } = object.metadata;
    const table = tableOf(resource, [object], { resourceVersion }, included, new Date());
    return isFirst ? table : { ...table, columnDefinitions: null };
  };
}

function includedOf(query: URLSearchParams): Included {
  const text = query.get('includeObject') ?? '';
  if (text === '') return 'Metadata';
  if (text === 'None' || text === 'Metadata' || text === 'Object') return text;
  throw badRequest(`cannot show a table: got includeObject ${text}, want None, Metadata or Object`);
}

function notThis(as: string): ApiError {
  return new ApiError(406, 'NotAcceptable', `the server does not show this as ${as}`);
}
