// SPDX-License-Identifier: Apache-2.0
/** The token of the next request: files and programs are asked again before it is too old to be accepted. */
import { readFileSync } from 'node:fs';
import { assertNever, ForbiddenError } from '../../lib/errors.ts';
import type { Secret } from '../../lib/secret.ts';
import type { Identity } from './access.ts';
import { type ExecCredential, runExecPlugin } from './exec-plugin.ts';

/** A kubelet writes a new token long before the old one ends; reading the file again costs nothing. */
const fileAgeMs = 1000;
const marginMs = 10_000;

export class Bearer {
  readonly #identity: Identity;
  #file: { readonly text: string; readonly read: number } | null = null;
  #exec: ExecCredential | null = null;

  constructor(identity: Identity) {
    this.#identity = identity;
  }

  /** The header's value; null where nothing is sent. @throws {ForbiddenError} */
  async authorization(): Promise<string | null> {
    switch (this.#identity.type) {
      case 'none':
        return null;
      case 'token':
        return bearer(this.#identity.token);
      case 'token-file':
        return `Bearer ${this.#fromFile(this.#identity.path)}`;
      case 'exec':
        if (!this.#exec || this.#exec.expires - marginMs < Date.now())
          this.#exec = await runExecPlugin(this.#identity.plugin);
        return bearer(this.#exec.token);
      default:
        return assertNever(this.#identity);
    }
  }

  /** After a 401. @returns whether another try may bring another token. */
  renew(): boolean {
    this.#file = null;
    this.#exec = null;
    return this.#identity.type === 'token-file' || this.#identity.type === 'exec';
  }

  #fromFile(path: string): string {
    const now = performance.now();
    if (this.#file && now - this.#file.read < fileAgeMs) return this.#file.text;
    try {
      this.#file = { text: readFileSync(path, 'utf8').trim(), read: now };
      return this.#file.text;
    } catch (error) {
      throw new ForbiddenError(
        `cannot read token file ${path}: ${(error as NodeJS.ErrnoException).code ?? error}`,
      );
    }
  }
}

function bearer(token: Secret): string {
  return `Bearer ${token.reveal()}`;
}
