// SPDX-License-Identifier: Apache-2.0
/** Certificates of the server itself and its administrator: issued once for a folder, since openssl takes its time. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CertificateAuthority, CertificateRequest, KeyPair } from './certificates.ts';

export function keptKeys(
  authority: CertificateAuthority,
  folder: string,
  name: string,
  request: CertificateRequest,
): KeyPair {
  const path = join(folder, `${name}.json`);
  const asked = JSON.stringify(request);
  const found = readKeys(path);
  if (found?.asked === asked && found.ca === authority.certificate) return found.keys;
  const keys = authority.issue(request);
  const text = JSON.stringify({ asked, ca: authority.certificate, keys });
  writeFileSync(path, text, { mode: 0o600 });
  return keys;
}

interface Kept {
  readonly asked: string;
  readonly ca: string;
  readonly keys: KeyPair;
}

function readKeys(path: string): Kept | null {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Kept;
  } catch {
    return null;
  }
}
