// SPDX-License-Identifier: Apache-2.0
/** `muslin watch`: what is there, then each change. A lost store is waited for, and what was missed is told after it. */
import type { ResourceChange } from '../contract/datastore.ts';
import { StoreSyncer } from '../datastore/syncer.ts';
import { recordOf, textMapAt } from '../model/json.ts';
import { type KindRow, keyPath, kindRow } from '../model/kinds.ts';
import type { Resource, ResourceKey } from '../model/types.ts';
import { parseDurationMs } from './duration.ts';
import { printable } from './exit.ts';
import type { Io } from './io.ts';
import { parseLabelFilter } from './label-filter.ts';
import { nameOfKey } from './object-name.ts';
import { parseReferences } from './object-reference.ts';
import { findPlace, openStore, type PlaceOptions } from './place.ts';

export interface WatchOptions extends PlaceOptions {
  readonly namespace?: string;
  readonly selector?: string;
  readonly onlyChanges?: boolean;
  readonly timeout?: string;
  readonly output?: 'name' | 'json' | 'ndjson';
}

/** As Kubernetes' watches call them. */
type EventType = 'ADDED' | 'MODIFIED' | 'DELETED';

interface ShownEvent {
  readonly type: EventType;
  readonly key: ResourceKey;
  /** Of one that went: as it last was. */
  readonly object: Resource;
}

/** @throws {UsageError} {NotFoundError}; ends with the time, or with the process. */
export async function watchResources(kind: string, options: WatchOptions, io: Io): Promise<void> {
  const { rows } = parseReferences([kind], options.namespace ?? 'default');
  const stop = stopSignal(options.timeout);
  await using store = await openStore(await findPlace(options, io), io, { mayCreate: false });
  const screen = new Screen(rows, options, io);
  const syncer = new StoreSyncer(store, {
    onUnavailable: (error) => io.note(`note: ${error.message}; trying again`),
  });
  await syncer.run(
    {
      onResources: (changes) => screen.show(changes),
      onUpdates: () => {},
      onStatus: (status) => {
        if (status === 'in-sync') screen.isLive = true;
      },
    },
    stop,
  );
}

function stopSignal(timeout: string | undefined): AbortSignal {
  const stop = new AbortController();
  if (timeout !== undefined) setTimeout(() => stop.abort(), parseDurationMs(timeout, '--timeout'));
  process.once('SIGINT', () => stop.abort());
  return stop.signal;
}

class Screen {
  isLive = false;
  readonly #rows: readonly KindRow[];
  readonly #options: WatchOptions;
  readonly #io: Io;
  readonly #filter: (labels: { readonly [key: string]: string }) => boolean;
  readonly #present = new Map<string, Resource>();

  constructor(rows: readonly KindRow[], options: WatchOptions, io: Io) {
    this.#rows = rows;
    this.#options = options;
    this.#io = io;
    this.#filter = options.selector === undefined ? () => true : parseLabelFilter(options.selector);
  }

  show(changes: readonly ResourceChange[]): void {
    const events = changes
      .filter(({ key }) => this.#isAskedFor(key))
      .flatMap((change) => this.#eventOf(change));
    if (!this.isLive && this.#options.onlyChanges) return;
    for (const event of events) this.#io.out(`${this.#line(event)}\n`);
  }

  #isAskedFor({ kind, namespace }: ResourceKey): boolean {
    const wanted = this.#options.namespace;
    if (!this.#rows.some((row) => row.kind === kind)) return false;
    return wanted === undefined || namespace === undefined || namespace === wanted;
  }

  /** An object that loses the labels asked for goes, as far as the reader is concerned. */
  #eventOf({ key, resource }: ResourceChange): readonly ShownEvent[] {
    const path = keyPath(key);
    const before = this.#present.get(path);
    const isChosen = resource !== null && this.#filter(recordOf(textMapAt(resource, 'metadata', 'labels')));
    if (!isChosen) {
      this.#present.delete(path);
      return before ? [{ type: 'DELETED', key, object: before }] : [];
    }
    this.#present.set(path, resource);
    return [{ type: before ? 'MODIFIED' : 'ADDED', key, object: resource }];
  }

  #line({ type, key, object }: ShownEvent): string {
    if (this.#options.output === 'name') return nameOfKey(key);
    if (this.#options.output !== undefined) return JSON.stringify({ type, object });
    const cells = kindRow(key.kind)
      .columns.filter(({ wide }) => !wide)
      .map(({ title, cell }) => [title, printable(cell(object))] as const)
      .filter(([, text]) => text !== '');
    const details = cells.map(([title, text]) => `${title.toLowerCase()}=${text}`).join(' ');
    return `${new Date().toISOString()} ${type.padEnd(8)} ${printable(nameOfKey(key))} ${details}`.trimEnd();
  }
}
