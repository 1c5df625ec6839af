// SPDX-License-Identifier: Apache-2.0
/** What stands in etcd, as the resources that it is; what is none of ours is told once and skipped. */
import { isUtf8 } from 'node:buffer';
import type { Indexed, Stored, WatchEvent } from '../../contract/datastore.ts';
import type { Revision } from '../../lib/brand.ts';
import type { ResourceKey } from '../../model/types.ts';
import type { StoreNotices } from '../config.ts';
import type { Event, KeyValue } from './api/etcd_pb.ts';
import { keyAt } from './layout.ts';
import { decodeValue } from './values.ts';

/** mvccpb.Event.EventType */
const deleteEvent = 1;
/** Of a foreign path so much is told once, as there may be many: `/calico/felix/v1`, `/calico/resources/v3/<group>/<plural>`. */
const toldFolder = /^\/calico\/(resources\/v3\/[^/]*\/[^/]*|[^/]*\/[^/]*)/;

export class Entries {
  readonly #notices: StoreNotices;
  readonly #told = new Set<string>();

  constructor(notices: StoreNotices) {
    this.#notices = notices;
  }

  stored(kv: KeyValue): readonly Stored[] {
    const place = this.#place(kv.key);
    return place ? [decodeValue(place.key, place.path, kv.value, kv.modRevision)] : [];
  }

  indexed(kv: KeyValue): readonly Indexed[] {
    const place = this.#place(kv.key);
    return place ? [{ key: place.key, revision: String(kv.modRevision) as Revision }] : [];
  }

  event({ type, kv }: Event): readonly WatchEvent[] {
    if (!kv) return [];
    if (type !== deleteEvent) return this.stored(kv).map((stored) => ({ type: 'put', stored }));
    return this.indexed(kv).map(({ key, revision }) => ({ type: 'delete', key, revision }));
  }

  #place(bytes: Uint8Array): { readonly key: ResourceKey; readonly path: string } | null {
    const path = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString();
    const key = isUtf8(bytes) ? keyAt(path) : null;
    if (key) return { key, path };
    this.#tell(path);
    return null;
  }

  #tell(path: string): void {
    const folder = toldFolder.exec(path)?.[0] ?? path;
    if (this.#told.has(folder)) return;
    this.#told.add(folder);
    this.#notices.onStrange?.({
      where: path,
      problem: 'stands outside the layout of Calico and Muslin: skipped, as is what stands beside it',
    });
  }
}
