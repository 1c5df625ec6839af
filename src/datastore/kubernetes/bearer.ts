// SPDX-License-Identifier: Apache-2.0
/** The token of the next request: files are read, and programs run, again before it is too old to be accepted. */
import { readFileSync } from 'node:fs';
import { assertNever, ForbiddenError } from '../../lib/errors.ts';
import type { Identity } from './access.ts';
import { type ExecCredential, type ExecPlugin, runExecPlugin } from './exec-plugin.ts';

/** A kubelet writes a new token long before the old one ends; reading the file again costs nothing. */
const fileAgeMs = 1000;
const marginMs = 10_000;

export class Bearer {
  readonly #identity: Identity;
  #file: { readonly text: string; readonly read: number } | null = null;
  /** One for all who ask meanwhile: a program may open a browser. */
  #login: Promise<ExecCredential> | null = null;

  constructor(identity: Identity) {
    this.#identity = identity;
  }

  /** The header's value; null where nothing is sent. @throws {ForbiddenError} */
  async authorization(): Promise<string | null> {
    switch (this.#identity.type) {
      case 'none':
        return null;
      case 'token':
        return bearer(this.#identity.token.reveal(), 'the configuration');
      case 'token-file':
        return bearer(this.#fromFile(this.#identity.path), this.#identity.path);
      case 'exec': {
        const { token } = await this.#logIn(this.#identity.plugin);
        return bearer(token.reveal(), this.#identity.plugin.command);
      }
      default:
        return assertNever(this.#identity);
    }
  }

  async #logIn(plugin: ExecPlugin): Promise<ExecCredential> {
    const asked = this.#login;
    const known = await asked?.catch(() => null); // told to whoever asked for it
    if (known && known.expires - marginMs > Date.now()) return known;
    if (this.#login === asked) this.#login = runExecPlugin(plugin);
    return this.#login ?? runExecPlugin(plugin);
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

/** @throws {ForbiddenError} for what would not go into a header, without showing it. */
function bearer(token: string, from: string): string {
  if (/^[\x21-\x7e]+$/.test(token)) return `Bearer ${token}`;
  throw new ForbiddenError(
    `${from}: got ${token.length} characters, want a token, printable and without spaces`,
  );
}
