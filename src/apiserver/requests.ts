// SPDX-License-Identifier: Apache-2.0
/**
 * From a request to its answer, whatever wire it came by.
 *
 * Owns:       the order of things: who asks, may he, which resource, which verb; and errors as Status.
 * Takes in:   ApiRequest. Gives out: Answer.
 * Invariants: everything between reading the store and writing it happens in one turn of the event loop, so that no
 *             write comes between.
 * Next:       writes.ts for how objects are born and changed, watch.ts for streams, store.ts for what is kept.
 */
import { Access } from './access.ts';
import { type Answer, type ApiRequest, json, text } from './answer.ts';
import { type Credentials, identify, impersonated } from './identity.ts';
import { errorEncoding, negotiate } from './media.ts';
import { create, type Place, update } from './modify.ts';
import { ApiError } from './objects/api-error.ts';
import type { ApiObject } from './objects/object.ts';
import type { ServedResource } from './objects/served-resource.ts';
import { patch } from './patch-object.ts';
import { get, list } from './read.ts';
import { remove, removeCollection } from './remove.ts';
import { parsePath, type ResourcePath } from './request-path.ts';
import { isReview, review } from './reviews.ts';
import { ServerPaths } from './server-paths.ts';
import type { Serving } from './serving.ts';
import { renderingOf, type Showing, shownList, shownObject } from './shown.ts';
import {
  badRequest,
  failure,
  methodNotAllowed,
  noSuchPath,
  notFound,
  notSupported,
  PlainNotFound,
} from './status.ts';
import { bind, evict, requestToken } from './subresources.ts';
import type { Tokens } from './tokens.ts';
import { watch } from './watch.ts';

export type Asked = Omit<ApiRequest, 'user'> & Credentials;

export class Requests {
  readonly #serving: Serving;
  readonly #tokens: Tokens;
  readonly #access: Access;
  readonly #serverPaths: ServerPaths;

  constructor(serving: Serving, tokens: Tokens) {
    this.#serving = serving;
    this.#tokens = tokens;
    this.#access = new Access(serving.store);
    this.#serverPaths = new ServerPaths(serving.catalog);
  }

  answer(asked: Asked): Answer {
    try {
      return this.#answer(asked);
    } catch (error) {
      return this.#refusal(error, asked.headers.accept);
    }
  }

  #answer(asked: Asked): Answer {
    const path = parsePath(asked.method, asked.path, asked.query);
    const caller = identify(asked, this.#tokens);
    const user = impersonated(caller, asked.headers, this.#access, path);
    this.#access.require({ user }, path);
    const request: ApiRequest = { ...asked, user };
    return path.type === 'other' ? this.#serverPaths.answer(request) : this.#ofResource(request, path);
  }

  #ofResource(request: ApiRequest, path: ResourcePath): Answer {
    const { catalog } = this.#serving;
    const resource = catalog.find(path.group, path.version, path.resource);
    if (!resource) throw catalog.isBuiltinGroup(path.group) ? noSuchPath() : new PlainNotFound();
    requireScope(resource, path);
    if (path.subresource !== '') return this.#ofSubresource(request, resource, path);
    requireVerb(resource, path);
    const shape = negotiate(request.headers.accept, path.verb === 'watch');
    const showing = { resource, shape, query: request.query };
    const place = placeOf(resource, path, 'main');
    const answer = this.#verb(request, path, place, showing);
    return answer.type === 'json' ? { ...answer, encoding: shape.encoding } : answer;
  }

  #verb(request: ApiRequest, { verb }: ResourcePath, place: Place, showing: Showing): Answer {
    const serving = this.#serving;
    switch (verb) {
      case 'get':
        return json(200, shownObject(showing, get(serving, request, place)));
      case 'list':
        return json(200, shownList(showing, list(serving, request, place)));
      case 'watch':
        return watch(serving, request, place, renderingOf(showing));
      case 'create':
        if (isReview(place.resource.kind)) return this.#review(request, place.resource);
        return shownWrite(showing, create(serving, request, place));
      case 'update':
        return shownWrite(showing, update(serving, request, place));
      case 'patch':
        if (place.name === '') throw badRequest('name must be provided');
        return shownWrite(showing, patch(serving, request, place));
      case 'delete':
        return remove(serving, request, place);
      case 'deletecollection':
        return json(200, removeCollection(serving, request, place));
      default:
        throw methodNotAllowed();
    }
  }

  #review(request: ApiRequest, { kind }: ServedResource): Answer {
    return review(kind, request, { access: this.#access, tokens: this.#tokens });
  }

  #ofSubresource(request: ApiRequest, resource: ServedResource, path: ResourcePath): Answer {
    const found = resource.subresources.find(({ name }) => name === path.subresource);
    if (!found || path.rest.length > 0) throw resource.custom ? notFound(resource, path.name) : noSuchPath();
    if (!found.verbs.includes(path.verb)) throw notSupported(resource, path.verb);
    const shape = negotiate(request.headers.accept, false);
    const place = placeOf(resource, path, path.subresource);
    const showing = { resource, shape, query: request.query };
    const answer =
      path.verb === 'create' ? this.#posted(request, place) : this.#verb(request, path, place, showing);
    return answer.type === 'json' ? { ...answer, encoding: shape.encoding } : answer;
  }

  #posted(request: ApiRequest, place: Place): Answer {
    switch (place.target) {
      case 'binding':
        return bind(this.#serving, request, place);
      case 'eviction':
        return evict(this.#serving, request, place);
      case 'token':
        return requestToken(this.#serving, request, place, this.#tokens);
      default:
        throw methodNotAllowed();
    }
  }

  #refusal(error: unknown, accept: string | undefined): Answer {
    if (error instanceof PlainNotFound) return text(404, error.message);
    const known = error instanceof ApiError ? error : unexpected(error);
    const seconds = known.details?.retryAfterSeconds;
    return {
      ...json(known.code, failure(known)),
      encoding: errorEncoding(accept),
      ...(seconds === undefined ? {} : { headers: { 'retry-after': String(seconds) } }),
    };
  }
}

/** Something of ours is broken: the client is told, and the server lives on. */
function unexpected(error: unknown): ApiError {
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return new ApiError(500, 'InternalError', `Internal error occurred: ${message}`);
}

/** @throws {ApiError} 404, 405 {PlainNotFound} */
function requireScope(resource: ServedResource, path: ResourcePath): void {
  const acrossAll = path.name === '' && ['list', 'watch'].includes(path.verb);
  if (path.inNamespace === resource.namespaced) return;
  if (resource.namespaced && (acrossAll || (path.verb === 'watch' && path.name === ''))) return;
  if (resource.custom) throw new PlainNotFound();
  throw resource.namespaced && path.name === '' ? methodNotAllowed() : noSuchPath();
}

function requireVerb(resource: ServedResource, { verb, name }: ResourcePath): void {
  if (!resource.verbs.includes(verb)) throw notSupported(resource, verb);
  if (resource.custom) return;
  const onName = ['get', 'update', 'patch', 'delete'].includes(verb);
  if ((verb === 'create' && name !== '') || (onName && name === '')) throw methodNotAllowed();
}

function placeOf(resource: ServedResource, path: ResourcePath, target: Place['target']): Place {
  return { resource, namespace: resource.namespaced ? path.namespace : '', name: path.name, target };
}

function shownWrite(showing: Showing, answer: ReturnType<typeof json>): Answer {
  if (showing.shape.as === 'Object') return answer;
  return { ...answer, body: shownObject(showing, answer.body as ApiObject) };
}
