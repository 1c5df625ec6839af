// SPDX-License-Identifier: Apache-2.0
/** The command run in this process, with a folder and a datastore of its own. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { Io } from '../../src/cli/io.ts';
import { run } from '../../src/cli/main.ts';

export interface Outcome {
  readonly code: number;
  readonly out: string;
  /** Standard error, one entry a message. */
  readonly notes: readonly string[];
}

export class CliSession implements Disposable {
  readonly folder: string = mkdtempSync(join(tmpdir(), 'muslin-cli-'));
  readonly datastore: string = join(this.folder, 'muslin.db');
  readonly #env: Io['env'];

  /** @param env - beside the names of the store and of a lab that does not run; undefined takes one away. */
  constructor(env: Io['env'] = {}) {
    this.#env = env;
  }

  /** @param env - beside the session's. */
  async run(args: readonly string[], stdin = '', env: Io['env'] = {}): Promise<Outcome> {
    let out = '';
    const notes: string[] = [];
    const io: Io = {
      env: {
        MUSLIN_DATASTORE: this.datastore,
        MUSLIN_LAB: join(this.folder, 'no-lab'),
        ...this.#env,
        ...env,
      },
      out: (text) => {
        out += text;
      },
      note: (text) => void notes.push(text),
      readStdin: () => stdin,
      stdin: () => Readable.from([stdin]),
    };
    return { code: await run(args, io), out, notes };
  }

  /** @returns the path. */
  write(name: string, text: string): string {
    const path = join(this.folder, name);
    writeFileSync(path, text);
    return path;
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
