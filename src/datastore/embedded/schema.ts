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
const schemaVersion = 2;

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
    body TEXT, -- NULL: deleted
    time INTEGER NOT NULL DEFAULT 0, -- milliseconds since 1970; 0: written before it was kept
    writer TEXT NOT NULL DEFAULT ''
  ) STRICT;
  CREATE INDEX IF NOT EXISTS log_of_key ON log (kind, namespace, name, revision);
  CREATE TABLE IF NOT EXISTS fact (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
  INSERT OR IGNORE INTO fact VALUES ('revision', 0), ('compacted', 0);
`;

/** From version 1, which kept neither time nor writer, and of compacted history nothing at all. */
const upgrade = `
  ALTER TABLE log ADD COLUMN time INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE log ADD COLUMN writer TEXT NOT NULL DEFAULT '';
  CREATE INDEX log_of_key ON log (kind, namespace, name, revision);
  INSERT OR IGNORE INTO log SELECT revision, kind, namespace, name, body, 0, '' FROM resource;
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
  if (found > schemaVersion) {
    throw new InvalidError(`datastore ${file}: got layout version ${found}, want ${schemaVersion}`);
  }
  inTransaction(db, () => {
    const raced = Number(db.prepare('PRAGMA user_version').get()?.user_version); // another process may just have done it
    if (raced === schemaVersion) return;
    db.exec(`${raced === 0 ? tables : upgrade} PRAGMA user_version = ${schemaVersion};`);
  });
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

/** What `body` reads, it reads of one moment. */
export function inReadTransaction<T>(db: Database, body: () => T): T {
  db.exec('BEGIN');
  try {
    return body();
  } finally {
    db.exec('COMMIT');
  }
}
