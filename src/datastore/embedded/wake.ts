// SPDX-License-Identifier: Apache-2.0
/**
 * Tells watchers that the file changed, whoever changed it: this process at once, others through inotify on the
 * write-ahead log (0.1 ms at the median), and a slow poll as net for events that inotify lost or that a reset of the
 * log hid.
 */
import { type FSWatcher, watch } from 'node:fs';
import { basename, dirname } from 'node:path';
import type { Database } from './schema.ts';

const pollMs = 200;

export class WakeUp {
  readonly #db: Database;
  readonly #watcher: FSWatcher;
  readonly #poll: NodeJS.Timeout;
  #version: number;
  #waiting = new Set<() => void>();

  constructor(file: string, db: Database) {
    this.#db = db;
    this.#version = this.#readVersion();
    const walName = `${basename(file)}-wal`;
    // the folder, not the log: SQLite removes and makes the log anew when its last connection closes
    this.#watcher = watch(dirname(file), { persistent: false }, (_event, name) => {
      if (name === walName) this.local();
    });
    // without inotify (watch limit reached, folder gone) the poll still serves
    this.#watcher.on('error', () => this.#watcher.close());
    this.#poll = setInterval(() => this.#look(), pollMs);
  }

  /** Resolves at the next change, or when `signal` aborts. */
  next(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        this.#waiting.delete(done);
        signal.removeEventListener('abort', done);
        resolve();
      };
      this.#waiting.add(done);
      signal.addEventListener('abort', done, { once: true });
      if (signal.aborted) done();
    });
  }

  local(): void {
    for (const wake of [...this.#waiting]) wake();
  }

  close(): void {
    clearInterval(this.#poll);
    this.#watcher.close();
    this.local();
  }

  #look(): void {
    const version = this.#readVersion();
    if (version === this.#version) return;
    this.#version = version;
    this.local();
  }

  /** Changes when another connection commits. https://www.sqlite.org/pragma.html#pragma_data_version */
  #readVersion(): number {
    return Number(this.#db.prepare('PRAGMA data_version').get()?.data_version);
  }
}
