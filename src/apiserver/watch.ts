// SPDX-License-Identifier: Apache-2.0
/**
 * Streams of changes of one collection.
 *
 * Invariants: events come in order of their revisions, each once; one that leaves the selection is DELETED with its old
 * content and the new revision; a bookmark's revision covers every event before it, and none is sent without news.
 */
import type { JsonObject } from '../model/types.ts';
import type { ApiRequest, EventSink, StreamAnswer } from './answer.ts';
import { collectionOfResource } from './collection.ts';
import type { Place } from './modify.ts';
import { withMetadata } from './object-meta.ts';
import { ApiError } from './objects/api-error.ts';
import type { ApiObject } from './objects/object.ts';
import type { ServedResource } from './objects/served-resource.ts';
import { type ListOptions, listOptions, revisionOf } from './options.ts';
import { apiVersionOf, type Selection, selectionOf, unreadableRevision } from './read.ts';
import { type Serving, viewOf } from './serving.ts';
import { failure, tooLargeRevision } from './status.ts';
import type { Change } from './store.ts';

/** How an object is shown: as it is, as a Table's row... */
export type Rendering = (object: ApiObject, isFirst: boolean) => JsonObject;

/** As the real server's, without the scatter. */
const defaultTimeout = 1800;

/** A bookmark comes this long before a timeout, so that the next watch begins close to the present. */
const lastBookmark = 2000;

export function watch(
  serving: Serving,
  request: ApiRequest,
  place: Place,
  render: Rendering | null,
): StreamAnswer {
  const options = listOptions(request.query, true);
  const selection = selectionOf(place.resource, options);
  const revision = revisionOf(options.resourceVersion);
  if (revision === null) throw unreadableRevision(options.resourceVersion);
  return {
    type: 'stream',
    start: (sink) => new Watch({ serving, place, options, selection, render, sink }).start(revision),
  };
}

interface Watching {
  readonly serving: Serving;
  readonly place: Place;
  readonly options: ListOptions;
  readonly selection: Selection | null;
  /** null: as it is. */
  readonly render: Rendering | null;
  readonly sink: EventSink;
}

class Watch {
  readonly #w: Watching;
  readonly #collection: string;
  #sent = 0;
  #isFirst = true;
  #ends: (() => void)[] = [];

  constructor(watching: Watching) {
    this.#w = watching;
    this.#collection = collectionOfResource(watching.place.resource);
  }

  start(revision: number): () => void {
    const { store } = this.#w.serving;
    const { sendInitialEvents, resourceVersion } = this.#w.options;
    if (sendInitialEvents === true && revision > store.revision) {
      this.#refuse(tooLargeRevision(resourceVersion, store.revision));
      return () => {};
    }
    if (sendInitialEvents ?? revision === 0) this.#sendPresent();
    else if (revision !== 0 && revision < store.compactedRevision) {
      const message = `too old resource version: ${revision} (${store.compactedRevision})`;
      this.#refuse(new ApiError(410, 'Expired', message));
      return () => {};
    } else this.#sendSince(revision === 0 ? store.revision : revision);
    this.#follow(revision);
    return () => this.#stop();
  }

  #sendPresent(): void {
    const { serving, place, options } = this.#w;
    for (const object of serving.store.list(this.#collection, place.namespace)) {
      if (this.#shows(object)) this.#send('ADDED', object);
    }
    this.#sent = serving.store.revision;
    if (options.sendInitialEvents === true && options.allowWatchBookmarks) this.#bookmark(true);
  }

  #sendSince(revision: number): void {
    for (const change of this.#w.serving.store.changesAfter(this.#collection, revision)) this.#tell(change);
    this.#sent = Math.max(revision, this.#w.serving.store.revision);
  }

  #follow(revision: number): void {
    const { serving, options, place } = this.#w;
    this.#ends.push(
      serving.store.follow(this.#collection, (change) => {
        if (change.revision > revision) this.#tellOrEnd(change);
      }),
      serving.catalog.onGone(place.resource, () => this.#end()),
    );
    const timeout = (options.timeoutSeconds || defaultTimeout) * 1000;
    this.#after(timeout, () => this.#end());
    if (!options.allowWatchBookmarks) return;
    this.#every(serving.bookmarkInterval, () => this.#bookmarkNews());
    if (timeout > lastBookmark) this.#after(timeout - lastBookmark, () => this.#bookmarkNews());
  }

  /** A fault in showing an object is the reader's to hear of, not the writer's. */
  #tellOrEnd(change: Change): void {
    try {
      this.#tell(change);
    } catch (error) {
      this.#stop();
      this.#refuse(new ApiError(500, 'InternalError', `Internal error occurred: ${String(error)}`));
    }
  }

  #tell({ type, key, object, previous }: Change): void {
    const { namespace, name } = this.#w.place;
    if (namespace !== '' && !key.startsWith(`${namespace}/`)) return;
    if (name !== '' && object.metadata.name !== name) return;
    const was = previous !== null && this.#shows(previous);
    const is = type !== 'DELETED' && this.#shows(object);
    if (is) this.#send(was ? 'MODIFIED' : 'ADDED', object);
    else if (was && previous) this.#send('DELETED', lastSeen(previous, object));
  }

  #shows(stored: ApiObject): boolean {
    const { place, selection } = this.#w;
    if (place.name !== '' && stored.metadata.name !== place.name) return false;
    return selection === null || selection(viewOf(place.resource, stored));
  }

  #send(type: string, stored: ApiObject): void {
    const { place, render, sink } = this.#w;
    const object = viewOf(place.resource, stored);
    const text = render ? JSON.stringify(render(object, this.#isFirst)) : textOf(object);
    this.#isFirst = false;
    sink.write(`{"type":"${type}","object":${text}}\n`);
  }

  #bookmarkNews(): void {
    if (this.#w.serving.store.lastChange(this.#collection) > this.#sent) this.#bookmark(false);
  }

  #bookmark(endsInitial: boolean): void {
    const { serving, place, sink } = this.#w;
    this.#sent = serving.store.revision;
    const metadata = {
      resourceVersion: String(this.#sent),
      ...(endsInitial ? { annotations: { 'k8s.io/initial-events-end': 'true' } } : {}),
    };
    const { resource } = place;
    const type = { kind: resource.kind, apiVersion: apiVersionOf(resource) };
    const object = { ...type, metadata, ...requiredFields(resource) };
    sink.write(`${JSON.stringify({ type: 'BOOKMARK', object })}\n`);
  }

  #refuse(error: ApiError): void {
    this.#w.sink.write(`${JSON.stringify({ type: 'ERROR', object: failure(error) })}\n`);
    this.#w.sink.end();
  }

  #end(): void {
    this.#stop();
    this.#w.sink.end();
  }

  #stop(): void {
    for (const end of this.#ends.splice(0)) end();
  }

  #after(milliseconds: number, run: () => void): void {
    const timer = setTimeout(run, milliseconds);
    this.#ends.push(() => clearTimeout(timer));
  }

  #every(milliseconds: number, run: () => void): void {
    const timer = setInterval(run, milliseconds);
    this.#ends.push(() => clearInterval(timer));
  }
}

function lastSeen(previous: ApiObject, now: ApiObject): ApiObject {
  return withMetadata(previous, { resourceVersion: now.metadata.resourceVersion });
}

let written: { readonly object: ApiObject; readonly text: string } | null = null;

/** A change that many watch is written once: they hear of it one after another, and of nothing else between. */
function textOf(object: ApiObject): string {
  if (written?.object !== object) written = { object, text: JSON.stringify(object) };
  return written.text;
}

/** Fields without `omitempty` stand in a bookmark too, which is an object of the kind with nothing in it. */
function requiredFields({ group, kind, custom }: ServedResource): JsonObject {
  if (custom) return {};
  return zeroFields[`${group}/${kind}`] ?? {};
}

const zeroFields: { readonly [kind: string]: JsonObject } = {
  'networking.k8s.io/NetworkPolicy': { spec: { podSelector: {} } },
  '/Namespace': { spec: {}, status: {} },
  '/Node': { spec: {}, status: {} },
  '/Pod': { spec: { containers: null }, status: {} },
  '/Service': { spec: {}, status: { loadBalancer: {} } },
  'coordination.k8s.io/Lease': { spec: {} },
  'discovery.k8s.io/EndpointSlice': { addressType: '', endpoints: null, ports: null },
};
