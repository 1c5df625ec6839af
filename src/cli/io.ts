// SPDX-License-Identifier: Apache-2.0
/** What a command has of the world: streams, environment, arguments' files. One object, so that tests hand in their own. */
import { readdirSync, readFileSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { InvalidError, NotFoundError } from '../lib/errors.ts';

export interface Io {
  /** The command line, for whoever records who did what. */
  readonly words?: readonly string[];
  readonly env: { readonly [name: string]: string | undefined };
  out(text: string): void;
  /** Progress, notices and errors: never what a program reads. */
  note(text: string): void;
  readStdin(): string;
  /** The same, for filters, which answer before it ends. */
  stdin(): Readable;
}

export const processIo: Io = {
  env: process.env,
  out: (text) => void process.stdout.write(text),
  note: (text) => void process.stderr.write(`${text}\n`),
  readStdin: () => readToEnd(0),
  stdin: () => process.stdin,
};

/** Standard input may be a pipe that does not block, and `readFileSync` then fails with EAGAIN: whoever writes is waited for. */
export function readToEnd(fd: number): string {
  const chunks: Buffer[] = [];
  const pause = new Int32Array(new SharedArrayBuffer(4));
  for (;;) {
    try {
      const chunk = Buffer.alloc(65536);
      const count = readSync(fd, chunk);
      if (count === 0) return Buffer.concat(chunks).toString('utf8');
      chunks.push(chunk.subarray(0, count));
    } catch (error) {
      if (codeOf(error) !== 'EAGAIN') throw error;
      Atomics.wait(pause, 0, 0, 5);
    }
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}

export interface InputFile {
  /** As faults name it. */
  readonly name: string;
  readonly text: string;
}

/** How faults and origins name standard input. */
export const stdinName = '<stdin>';
const manifestName = /\.(ya?ml|json)$/;

/**
 * The texts behind `-f`: a file, the manifests of a directory (with `recursive` of those below), or `-`.
 *
 * @throws {NotFoundError} {InvalidError} for a file that cannot be read
 */
export function readInputs(paths: readonly string[], recursive: boolean, io: Io): readonly InputFile[] {
  return paths.flatMap((path) => {
    if (path === '-') return [{ name: stdinName, text: io.readStdin() }];
    const found = statSync(path, { throwIfNoEntry: false });
    if (!found) throw new NotFoundError(`cannot read ${path}: no such file or directory`);
    return found.isDirectory() ? readDirectory(path, recursive) : [{ name: path, text: textOf(path) }];
  });
}

/** @throws {InvalidError} with the system's reason. */
function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    throw new InvalidError(`cannot read ${path}: ${String(codeOf(error) ?? error.message)}`);
  }
}

function readDirectory(path: string, recursive: boolean): readonly InputFile[] {
  const entries = readdirSync(path, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  return entries.flatMap((entry) => {
    const name = join(path, entry.name);
    if (entry.isDirectory()) return recursive ? readDirectory(name, true) : [];
    return manifestName.test(entry.name) ? [{ name, text: textOf(name) }] : [];
  });
}
