// SPDX-License-Identifier: Apache-2.0
/**
 * A certificate authority of one server's own, and what it signs, by `openssl`: Node makes no certificates.
 *
 * Keys are EC P-256. Files of the key are made with mode 0600, in a folder of the caller's.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { UnsupportedError } from '../lib/errors.ts';

export interface KeyPair {
  /** PEM. */
  readonly cert: string;
  /** PEM, PKCS #8. */
  readonly key: string;
}

export interface CertificateRequest {
  /** A user's name, or a server's. */
  readonly commonName: string;
  /** Kubernetes reads groups from them. */
  readonly organizations?: readonly string[];
  /** `DNS:localhost`, `IP:127.0.0.1`: what a server is called. */
  readonly alternativeNames?: readonly string[];
}

const validDays = '3650';

export class CertificateAuthority {
  readonly #folder: string;
  #serial = Date.now();

  /** Makes the authority in `folder` unless one is there. */
  constructor(folder: string) {
    this.#folder = folder;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    try {
      readFileSync(this.#path('ca.crt'));
    } catch {
      this.#create();
    }
  }

  get certificate(): string {
    return readFileSync(this.#path('ca.crt'), 'utf8');
  }

  /** For servers and clients alike. */
  issue(request: CertificateRequest): KeyPair {
    const name = `issued-${this.#serial++}`;
    const extensions = ['basicConstraints=CA:FALSE', 'extendedKeyUsage=serverAuth,clientAuth'];
    if (request.alternativeNames?.length)
      extensions.push(`subjectAltName=${request.alternativeNames.join(',')}`);
    writeFileSync(this.#path(`${name}.ext`), `${extensions.join('\n')}\n`);
    this.#newKey(name);
    const csr = ['-new', '-key', `${name}.key`, '-subj', subject(request), '-out', `${name}.csr`];
    this.#openssl('req', ...csr);
    const signing = ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-set_serial', String(this.#serial)];
    const output = ['-days', validDays, '-extfile', `${name}.ext`, '-out', `${name}.crt`];
    this.#openssl('x509', '-req', '-in', `${name}.csr`, ...signing, ...output);
    return {
      cert: readFileSync(this.#path(`${name}.crt`), 'utf8'),
      key: readFileSync(this.#path(`${name}.key`), 'utf8'),
    };
  }

  #create(): void {
    this.#newKey('ca');
    const extensions = ['-addext', 'keyUsage=critical,keyCertSign,cRLSign'];
    const output = ['-subj', '/CN=muslin-ca', '-days', validDays, '-out', 'ca.crt'];
    this.#openssl('req', '-x509', '-new', '-key', 'ca.key', ...extensions, ...output);
  }

  #newKey(name: string): void {
    this.#openssl(
      'genpkey',
      '-algorithm',
      'EC',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-out',
      `${name}.key`,
    );
  }

  /** @throws {UnsupportedError} without openssl. */
  #openssl(...words: readonly string[]): void {
    try {
      execFileSync('openssl', words, { cwd: this.#folder, stdio: ['ignore', 'ignore', 'pipe'] });
    } catch (error) {
      throw new UnsupportedError(`cannot make certificates: ${String(error)}; want openssl on PATH`, {
        cause: error,
      });
    }
  }

  #path(name: string): string {
    return join(this.#folder, name);
  }
}

/** The parts of a distinguished name in OpenSSL's form, in which `/` parts them. */
function subject({ commonName, organizations = [] }: CertificateRequest): string {
  const parts = [...organizations.map((name) => `O=${name}`), `CN=${commonName}`];
  return parts.map((part) => `/${part.replaceAll(/[\\/]/g, (sign) => `\\${sign}`)}`).join('');
}
