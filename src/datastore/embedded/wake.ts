// SPDX-License-Identifier: Apache-2.0
/**
 * Tells watchers that the file changed, whoever changed it: this process at once, others through inotify on the
 * write-ahead log (0.1 ms at the median), and a slow poll as net for events that inotify lost or that a reset of the
 * log hid.
 */
import { type FSWatcher, watch } from 'node:fs';
import { basename, dirname } from 'node:path';
import { Notice } from '../../lib/notice.ts';
import type { Database } from './schema.ts';

const pollMs = 200;
/** Waits between looks after an event; together as long as the slowest sync we saw, then the poll takes over. */
const visibleAfterMs: readonly number[] = [1, 1, 1, 2, 2, 4, 4, 8, 8, 16, 16, 32];

export class WakeUp {
  readonly #db: Database;
  /** null without inotify (its limits are reached, the folder is gone): the poll still serves. */
  readonly #watcher: FSWatcher | null;
  readonly #poll: NodeJS.Timeout;
  readonly #notice = new Notice();
  #version: number;
  #retry: NodeJS.Timeout | undefined;

  constructor(file: string, db: Database) {
    this.#db = db;
    this.#version = this.#readVersion();
    const walName = `${basename(file)}-wal`;
    this.#watcher = watchFolder(dirname(file), (name) => {
      if (name === walName) this.#lookUntilVisible(0);
    });
    this.#poll = setInterval(() => this.#look(), pollMs);
  }

  /** Resolves at the next change, or when `signal` aborts. */
  next(signal: AbortSignal): Promise<void> {
    return this.#notice.next(signal);
  }

  local(): void {
    this.#notice.ring();
  }

  close(): void {
    clearInterval(this.#poll);
    clearTimeout(this.#retry);
    this.#watcher?.close();
    this.local();
  }

  /**
   * The event tells of bytes in the log; the commit becomes visible only after they were synced to disk and the shared
   * index, which no event tells of, was moved on. So look again, a little later each time.
   */
  #lookUntilVisible(attempt: number): void {
    clearTimeout(this.#retry);
    if (this.#look() || attempt === visibleAfterMs.length) return;
    this.#retry = setTimeout(() => this.#lookUntilVisible(attempt + 1), visibleAfterMs[attempt]);
  }

  /** @returns whether another connection committed since the last look. */
  #look(): boolean {
    const version = this.#readVersion();
    if (version === this.#version) return false; // NaN, a file that cannot be read, equals nothing
    this.#version = version;
    this.local();
    return true;
  }

  /** Changes when another connection commits. https://www.sqlite.org/pragma.html#pragma_data_version */
  #readVersion(): number {
    try {
      return Number(this.#db.prepare('PRAGMA data_version').get()?.data_version);
    } catch {
      return Number.NaN; // whoever is woken reads for himself, and is told what is wrong
    }
  }
}

/** The folder, not the log: SQLite removes and makes the log anew when its last connection closes. */
function watchFolder(folder: string, onEvent: (name: string | null) => void): FSWatcher | null {
  try {
    const watcher = watch(folder, { persistent: false }, (_event, name) => onEvent(name));
    watcher.on('error', () => watcher.close());
    return watcher;
  } catch {
    return null; // EMFILE, ENOSPC
  }
}
