// SPDX-License-Identifier: Apache-2.0
/**
 * The store's changes in a file, one JSON line each: `[revision]` first, then `[revision, collection, key, object or null]`.
 *
 * A line is handed to the kernel before the write is answered, so the death of the process at any moment loses nothing
 * that was answered; a line cut short was not. It is not synced to the disk: the machine's own death may lose the end.
 */
import {
  closeSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { InvalidError } from '../lib/errors.ts';
import type { ApiObject } from './objects/object.ts';

export interface JournalReader {
  /** All is empty there. */
  start(revision: number): void;
  entry(revision: number, collection: string, key: string, object: ApiObject | null): void;
}

export interface Entry {
  readonly collection: string;
  readonly key: string;
  readonly object: ApiObject;
}

/** Rewritten when it has grown to this many times what it was after the last time. */
const growth = 4;
const smallest = 16 << 20;

export class Journal {
  readonly #path: string;
  #fd = -1;
  #size = 0;
  #largeFrom = smallest;

  constructor(folder: string) {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    this.#path = join(folder, 'journal');
  }

  get isLarge(): boolean {
    return this.#size > this.#largeFrom;
  }

  /** @throws {InvalidError} for a file that no server wrote */
  load(reader: JournalReader): void {
    this.#fd = openSync(this.#path, 'a+', 0o600);
    const bytes = readFileSync(this.#path);
    let line = 0;
    for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, this.#size)) {
      this.#read(bytes.toString('utf8', this.#size, end), ++line, reader);
      this.#size = end + 1;
    }
    ftruncateSync(this.#fd, this.#size);
    if (this.#size === 0) this.#write(`${JSON.stringify([1])}\n`);
  }

  /** @param object - as JSON text, or `null` */
  append(revision: number, collection: string, key: string, object: string): void {
    this.#write(`[${revision},${JSON.stringify(collection)},${JSON.stringify(key)},${object}]\n`);
  }

  /** In one step: whoever starts from the file finds the old one or the new one. */
  rewrite(revision: number, entries: readonly Entry[]): void {
    const next = `${this.#path}.next`;
    const fd = openSync(next, 'w', 0o600);
    const lines = entries.map(({ collection, key, object }) =>
      JSON.stringify([Number(object.metadata.resourceVersion), collection, key, object]),
    );
    const text = `${[JSON.stringify([revision]), ...lines].join('\n')}\n`;
    writeAll(fd, text);
    fsyncSync(fd);
    closeSync(fd);
    renameSync(next, this.#path);
    closeSync(this.#fd);
    this.#fd = openSync(this.#path, 'a', 0o600);
    this.#size = Buffer.byteLength(text);
    this.#largeFrom = Math.max(smallest, this.#size * growth);
  }

  close(): void {
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
  }

  #read(text: string, line: number, reader: JournalReader): void {
    const fields = parsed(text);
    if (!Array.isArray(fields) || typeof fields[0] !== 'number') {
      throw new InvalidError(`cannot read ${this.#path}:${line}: want a list that begins with a revision`);
    }
    const [revision, collection, key, object] = fields as [number, string, string, ApiObject | null];
    if (fields.length === 1) reader.start(revision);
    else reader.entry(revision, collection, key, object);
  }

  /** A disk that is full leaves no half line, after which nothing could be read. */
  #write(text: string): void {
    try {
      this.#size += writeAll(this.#fd, text);
    } catch (error) {
      ftruncateSync(this.#fd, this.#size);
      throw error;
    }
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function writeAll(fd: number, text: string): number {
  const bytes = Buffer.from(text);
  for (let written = 0; written < bytes.length; )
    written += writeSync(fd, bytes, written, bytes.length - written);
  return bytes.length;
}
