// SPDX-License-Identifier: Apache-2.0
/**
 * The SQLite file: what is stored now, every change since the last compaction, and a few facts of the store itself.
 *
 * `node:sqlite` is reached only here: its class is being renamed (DEP0210), and all pragmas belong together.
 */
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { InvalidError, UnavailableError } from '../../lib/errors.ts';

export type Database = DatabaseSync;

/** Raised when a later version reads this file differently; an older program then refuses it instead of guessing. */
const schemaVersion = 1;

/** How long a writer waits for another process's transaction; group commits are a few ms each. */
const busyTimeoutMs = 5000;

const tables = `
  CREATE TABLE IF NOT EXISTS resource (
    kind TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
    revision INTEGER NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (kind, namespace, name)
  ) STRICT;
  CREATE TABLE IF NOT EXISTS log (
    revision INTEGER PRIMARY KEY, kind TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
    body TEXT -- NULL: deleted
  ) STRICT;
  CREATE TABLE IF NOT EXISTS fact (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
  INSERT OR IGNORE INTO fact VALUES ('revision', 0), ('compacted', 0);
`;

/**
 * Opens the store's file, made with its folder when absent.
 *
 * @throws {UnavailableError} when the file cannot be opened or is no database.
 * @throws {InvalidError} when a newer Muslin wrote it.
 */
export function openDatabase(file: string): Database {
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    const db = new DatabaseSync(file, { timeout: busyTimeoutMs });
    // WAL: readers never wait for the writer. FULL: a commit that was answered survives a power cut, not only kill -9.
    db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;');
    prepareSchema(db, file);
    return db;
  } catch (error) {
    if (error instanceof InvalidError) throw error;
    throw new UnavailableError(`cannot open datastore ${file}: ${String(error)}`, { cause: error });
  }
}

function prepareSchema(db: Database, file: string): void {
  const found = Number(db.prepare('PRAGMA user_version').get()?.user_version);
  if (found === schemaVersion) return;
  if (found !== 0) {
    throw new InvalidError(`datastore ${file}: got layout version ${found}, want ${schemaVersion}`);
  }
  inTransaction(db, () => db.exec(`${tables} PRAGMA user_version = ${schemaVersion};`));
}

/** Runs `body` as one transaction that takes the write lock at once, so that it cannot fail half-way for the lock. */
export function inTransaction<T>(db: Database, body: () => T): T {
  db.exec('BEGIN IMMEDIATE');
  try {
    const result = body();
    db.exec('COMMIT');
    return result;
  } catch (error) {
    if (db.isTransaction) db.exec('ROLLBACK');
    throw error;
  }
}
