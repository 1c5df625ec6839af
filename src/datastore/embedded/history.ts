// SPDX-License-Identifier: Apache-2.0
/** What the store was: read from its log, as far back as compaction left it. */
import type { History, Listed, PastChange, PointInTime } from '../../contract/datastore.ts';
import { RevisionGoneError } from '../../lib/errors.ts';
import type { ResourceKey } from '../../model/types.ts';
import { type Row, toRevision, toStored } from './row.ts';
import { type Database, inReadTransaction } from './schema.ts';

interface LogRow extends Row {
  readonly time: number;
  readonly writer: string;
}

export class EmbeddedHistory implements History {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  async changes(key: ResourceKey): Promise<readonly PastChange[]> {
    const sql = 'SELECT * FROM log WHERE kind = ? AND namespace = ? AND name = ? ORDER BY revision';
    const rows = this.#db.prepare(sql).all(key.kind, key.namespace ?? '', key.name);
    return (rows as unknown as LogRow[]).map(toChange);
  }

  async at(point: PointInTime): Promise<Listed> {
    return inReadTransaction(this.#db, () => {
      const revision = 'time' in point ? this.#revisionAt(point.time) : Number(point.revision);
      this.#wantKept(revision, 'time' in point ? point.time.toISOString() : `revision ${point.revision}`);
      // SQLite: columns beside max() are those of the row that has it
      const newest = `SELECT kind, namespace, name, body, max(revision) AS revision FROM log WHERE revision <= ?
        GROUP BY kind, namespace, name`;
      const sql = `SELECT * FROM (${newest}) WHERE body IS NOT NULL ORDER BY kind, namespace, name`;
      const rows = this.#db.prepare(sql).all(revision) as unknown as Row[];
      return { items: rows.map(toStored), revision: toRevision(revision) };
    });
  }

  /** The last change that was made by then. */
  #revisionAt(time: Date): number {
    const sql = 'SELECT max(revision) AS revision FROM log WHERE time <= ?';
    return Number(this.#db.prepare(sql).get(time.getTime())?.revision ?? 0);
  }

  #wantKept(revision: number, asked: string): void {
    const [compacted, latest] = [this.#fact('compacted'), this.#fact('revision')];
    if (revision >= compacted && revision <= latest) return;
    throw new RevisionGoneError(
      `${asked} is not kept: got revision ${revision}, want one from ${compacted} to ${latest}`,
    );
  }

  #fact(name: 'revision' | 'compacted'): number {
    return Number(this.#db.prepare('SELECT value FROM fact WHERE name = ?').get(name)?.value);
  }
}

function toChange(row: LogRow): PastChange {
  const { revision, resource } = toStored(row);
  return {
    revision,
    time: new Date(row.time),
    writer: row.writer,
    resource: row.body === null ? null : resource,
  };
}
