// SPDX-License-Identifier: Apache-2.0
/**
 * The last net under messages and bundles: what is secret is taken out of any text. Not what keeps secrets from getting
 * there (lib/secret.ts does): it catches what others wrote, an address with a password in it for instance.
 */
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { DatastoreConfig } from '../datastore/config.ts';
import { assertNever } from '../lib/errors.ts';

const secretNames = /PASSWORD|PASSWD|TOKEN|SECRET|CREDENTIAL|KUBECONFIG_INLINE|(^|_)KEY$/i;
/** Shorter ones are words that stand anywhere. */
const shortest = 4;
const mask = '[secret]';

type Environment = { readonly [name: string]: string | undefined };

/** Of variables that are called like secrets. */
export function secretsOfEnvironment(env: Environment): readonly string[] {
  const named = Object.entries(env).filter(([name]) => secretNames.test(name));
  return named.flatMap(([, value = '']) => (value.includes('\n') ? longWords(value) : [value]));
}

/** Of the store that a command works on, and of the files that say how it is reached. */
export function secretsOfStore(config: DatastoreConfig): readonly string[] {
  switch (config.type) {
    case 'embedded':
      return [];
    case 'etcd':
      return [config.password?.reveal() ?? '', ...longWords(config.tls?.key?.reveal() ?? '')];
    case 'kubernetes':
      return [
        config.token?.reveal() ?? '',
        ...longWords(config.tls?.key?.reveal() ?? ''),
        ...longWords(config.inline?.reveal() ?? ''),
        ...config.kubeconfig.flatMap((path) => secretsOfFile(path)),
      ];
    default:
      return assertNever(config);
  }
}

/** Of the kubeconfigs that a user has, whichever store a command works on. */
export function secretsOfKubeconfigs(env: Environment): readonly string[] {
  const usual = join(env.HOME ?? homedir(), '.kube', 'config');
  return [...(env.KUBECONFIG ?? '').split(':'), usual].filter((path) => path !== '').flatMap(secretsOfFile);
}

function secretsOfFile(path: string): readonly string[] {
  try {
    const text = readFileSync(path, 'utf8');
    const named = [...text.matchAll(/(?:token|password|client-key-data)"?\s*:\s*"?([^\s"',}]+)/g)];
    return [...named.map(([, value = '']) => value), ...longWords(text)];
  } catch {
    return []; // what we cannot read, we cannot tell
  }
}

/** Lines of a PEM text, tokens and keys of a kubeconfig; not its names, addresses and paths. */
function longWords(text: string): readonly string[] {
  return (text.match(/[A-Za-z0-9+/=_.~-]{20,}/g) ?? []).filter(
    (word) => !text.includes(`${word}:`) && !text.includes(`//${word}`) && !word.startsWith('/'),
  );
}

/** @param secrets - in any order, with or without duplicates. */
export function withoutSecrets(text: string, secrets: readonly string[]): string {
  const known = [...new Set(secrets)].filter((secret) => secret.length >= shortest);
  const longestFirst = known.sort((a, b) => b.length - a.length);
  const masked = longestFirst.reduce((result, secret) => result.replaceAll(secret, mask), text);
  return masked
    .replace(/\b([a-z][a-z0-9+.-]*:\/\/)[^\s/@"']*:[^\s/@"']*@/gi, `$1${mask}@`)
    .replace(/-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(-----END [A-Z ]*PRIVATE KEY-----|$)/g, mask)
    .replace(/\beyJ[\w-]{6,}\.[\w-]{8,}\.[\w-]{8,}/g, mask)
    .replace(/\b(bearer)\s+[\w.~+/-]{8,}=*/gi, `$1 ${mask}`);
}
