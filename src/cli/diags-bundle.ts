// SPDX-License-Identifier: Apache-2.0
/**
 * A folder of texts that becomes one archive.
 *
 * Invariants: nothing enters but through `add`, which takes out what is secret; a part that cannot be had is told in
 *             `missing.txt` and hinders no other. The archive is its owner's alone to read.
 */
import { spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { AlreadyExistsError, UnavailableError } from '../lib/errors.ts';
import { withoutSecrets } from './secrets.ts';

/** Of one part: an agent that is frozen must not hold up the rest. */
const patienceMs = 20_000;

export class DiagsBundle implements Disposable {
  readonly missing: string[] = [];
  readonly #name: string;
  readonly #folder: string = mkdtempSync(join(tmpdir(), 'muslin-diags-'));
  readonly #secrets: readonly string[];

  /** @param name - of the folder in the archive. */
  constructor(name: string, secrets: readonly string[]) {
    this.#name = name;
    this.#secrets = secrets;
  }

  /** @param path - in the bundle. */
  add(path: string, text: string): void {
    const file = join(this.#folder, this.#name, path);
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    writeFileSync(file, withoutSecrets(text, this.#secrets), { mode: 0o600 });
  }

  /** A part that may be impossible here. */
  async attempt(path: string, make: () => Promise<string> | string): Promise<void> {
    try {
      this.add(path, await inTime(make));
    } catch (error) {
      this.missing.push(`${path}: ${error instanceof Error ? error.message : error}`);
    }
  }

  /** @throws {AlreadyExistsError} {UnavailableError} when tar is not there or fails. */
  pack(output: string): void {
    if (this.missing.length > 0) this.add('missing.txt', `${this.missing.join('\n')}\n`);
    const file = created(output);
    const stdio: ['ignore', number, 'pipe'] = ['ignore', file, 'pipe'];
    const tar = spawnSync('tar', ['-czf', '-', '-C', this.#folder, this.#name], { stdio });
    closeSync(file);
    if (tar.status === 0) return;
    rmSync(output, { force: true });
    throw new UnavailableError(
      `cannot pack ${output}: ${tar.error?.message ?? tar.stderr.toString().trim()}`,
    );
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function created(output: string): number {
  try {
    return openSync(output, 'wx', 0o600);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    if (code === 'EEXIST') throw new AlreadyExistsError(`cannot write ${output}: it exists already`);
    throw new UnavailableError(`cannot write ${output}: ${code}`);
  }
}

async function inTime(make: () => Promise<string> | string): Promise<string> {
  const timer = Promise.withResolvers<string>();
  const late = setTimeout(() => timer.reject(new Error(`no answer in ${patienceMs} ms`)), patienceMs);
  try {
    return await Promise.race([make(), timer.promise]);
  } finally {
    clearTimeout(late);
  }
}
