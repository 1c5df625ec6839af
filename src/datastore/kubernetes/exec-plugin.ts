// SPDX-License-Identifier: Apache-2.0
/**
 * Credentials that a program makes (client.authentication.k8s.io): cloud providers' logins.
 *
 * @see Kubernetes documentation, "client-go credential plugins"
 */
import { execFile } from 'node:child_process';
import { dirname, resolve } from 'node:path';
import { promisify } from 'node:util';
import { ForbiddenError, InvalidError, UnsupportedError } from '../../lib/errors.ts';
import { Secret } from '../../lib/secret.ts';
import { isObject } from '../../model/json.ts';

export interface ExecPlugin {
  readonly apiVersion: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env: { readonly [name: string]: string };
}

export interface ExecCredential {
  readonly token: Secret;
  /** Milliseconds since 1970; Infinity: as long as it is accepted. */
  readonly expires: number;
}

/** @throws {InvalidError} */
export function execPluginOf(file: string, written: unknown): ExecPlugin {
  const { apiVersion, command, args = [], env = [], ...rest } = isObject(written) ? written : {};
  if (typeof command !== 'string' || typeof apiVersion !== 'string')
    throw new InvalidError(`${file}: exec: want apiVersion and command`);
  if (rest.interactiveMode === 'Always')
    throw new UnsupportedError(
      `${file}: exec: interactiveMode Always is not supported: nobody sits at a node`,
    );
  if (rest.provideClusterInfo === true)
    throw new UnsupportedError(`${file}: exec: provideClusterInfo is not supported, want false`);
  const pairs = Array.isArray(env) ? env.filter(isObject) : [];
  return {
    apiVersion,
    command: command.includes('/') ? resolve(dirname(file), command) : command,
    args: Array.isArray(args) ? args.map(String) : [],
    env: Object.fromEntries(pairs.map(({ name, value }) => [String(name), String(value)])),
  };
}

const runs = promisify(execFile);
const patienceMs = 30_000;

/** @throws {ForbiddenError} when it fails; its output is not told, as it may hold the secret. */
export async function runExecPlugin({ apiVersion, command, args, env }: ExecPlugin): Promise<ExecCredential> {
  const info = JSON.stringify({ apiVersion, kind: 'ExecCredential', spec: { interactive: false } });
  const options = { timeout: patienceMs, env: { ...process.env, ...env, KUBERNETES_EXEC_INFO: info } };
  const answer = await runs(command, args, options).catch((error: NodeJS.ErrnoException) => {
    throw new ForbiddenError(`cannot log in: ${command} failed: ${error.code ?? 'no code'}`);
  });
  return credentialOf(command, answer.stdout);
}

function credentialOf(command: string, text: string): ExecCredential {
  const { token, expirationTimestamp } = statusOf(text);
  if (typeof token !== 'string')
    throw new UnsupportedError(`${command} gave no token, want an ExecCredential with status.token`);
  const expires = typeof expirationTimestamp === 'string' ? Date.parse(expirationTimestamp) : Infinity;
  return { token: new Secret(token), expires: Number.isNaN(expires) ? Infinity : expires };
}

function statusOf(text: string): { readonly [name: string]: unknown } {
  try {
    const answer: unknown = JSON.parse(text);
    return isObject(answer) && isObject(answer.status) ? answer.status : {};
  } catch {
    return {};
  }
}
