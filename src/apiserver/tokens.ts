// SPDX-License-Identifier: Apache-2.0
/**
 * Bearer tokens of service accounts: JSON Web Tokens (RFC 7519), signed with a secret of this server's (HS256).
 *
 * A token that was found good is believed for ten seconds more, as a real server does.
 */
import { createHmac, randomBytes, randomUUID, timingSafeEqual } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { memberAt, textAt } from '../model/json.ts';
import { collectionOf, keyOf } from './collection.ts';
import type { ApiStore } from './store.ts';
import { serviceAccountUser, type User } from './user.ts';

export const ownAudience = 'https://kubernetes.default.svc';
const believed = 10_000;

export interface TokenSubject {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

export class Tokens {
  readonly #secret: Buffer;
  readonly #store: ApiStore;
  readonly #known: ReadonlyMap<string, User>;
  readonly #good = new Map<string, { readonly user: User; readonly until: number }>();

  constructor(store: ApiStore, known: ReadonlyMap<string, User>, folder?: string) {
    this.#store = store;
    this.#known = known;
    this.#secret = folder === undefined ? randomBytes(32) : secretIn(folder);
  }

  issue(subject: TokenSubject, audiences: readonly string[], seconds: number, now: Date): string {
    const { namespace, name, uid } = subject;
    const issued = Math.floor(now.getTime() / 1000);
    const claims = {
      aud: audiences,
      exp: issued + seconds,
      iat: issued,
      nbf: issued,
      iss: ownAudience,
      jti: randomUUID(),
      sub: `system:serviceaccount:${namespace}:${name}`,
      'kubernetes.io': { namespace, serviceaccount: { name, uid } },
    };
    const text = `${encoded({ alg: 'HS256', typ: 'JWT' })}.${encoded(claims)}`;
    return `${text}.${this.#signature(text)}`;
  }

  /** null: nobody's. @param audiences - one of them must be the token's */
  userOf(token: string, audiences: readonly string[] = [ownAudience]): User | null {
    const known = this.#known.get(token);
    if (known) return known;
    const cacheKey = `${audiences.join(' ')} ${token}`;
    const good = this.#good.get(cacheKey);
    if (good && good.until > Date.now()) return good.user;
    this.#good.delete(cacheKey);
    const user = this.#accountOf(token, audiences);
    if (user) this.#good.set(cacheKey, { user, until: Date.now() + believed });
    return user;
  }

  #accountOf(token: string, audiences: readonly string[]): User | null {
    const [head = '', body = '', signature = ''] = token.split('.');
    if (!same(signature, this.#signature(`${head}.${body}`))) return null;
    const claims: unknown = JSON.parse(Buffer.from(body, 'base64url').toString('utf8'));
    const expires = memberAt(claims, 'exp');
    const aud = memberAt(claims, 'aud');
    if (typeof expires !== 'number' || expires * 1000 <= Date.now()) return null;
    if (!Array.isArray(aud) || !audiences.some((audience) => aud.includes(audience))) return null;
    const namespace = textAt(claims, 'kubernetes.io', 'namespace');
    const name = textAt(claims, 'kubernetes.io', 'serviceaccount', 'name');
    const uid = textAt(claims, 'kubernetes.io', 'serviceaccount', 'uid');
    const account = this.#store.get(collectionOf('', 'serviceaccounts'), keyOf(namespace, name));
    if (!account || account.metadata.uid !== uid) return null;
    const extra = { 'authentication.kubernetes.io/credential-id': [`JTI=${textAt(claims, 'jti')}`] };
    return { ...serviceAccountUser(namespace, name, uid), extra };
  }

  #signature(text: string): string {
    return createHmac('sha256', this.#secret).update(text).digest('base64url');
  }
}

function secretIn(folder: string): Buffer {
  const path = join(folder, 'token.key');
  try {
    return readFileSync(path);
  } catch {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    writeFileSync(path, randomBytes(32), { mode: 0o600 });
    return readFileSync(path);
  }
}

function encoded(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

function same(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}
