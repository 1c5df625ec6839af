// SPDX-License-Identifier: Apache-2.0
/**
 * Where a datastore's configuration is written: Calico's file (`kind: CalicoAPIConfig`) and Calico's environment names.
 *
 * @see Calico documentation, "Configure calicoctl to connect to an etcd datastore" and "... the Kubernetes API datastore".
 *      Of the names there, those that tune the client (k8sClientQPS...) have no meaning here and are passed over.
 */
import { readFileSync } from 'node:fs';
import { type Document, parseDocument } from 'yaml';
import { InvalidError, NotFoundError } from '../lib/errors.ts';
import { Secret } from '../lib/secret.ts';
import { isObject } from '../model/json.ts';
import type { DatastoreConfig, EtcdConfig, KubernetesConfig, TlsConfig } from './config.ts';

type Environment = { readonly [name: string]: string | undefined };
/** By the file's names: `etcdEndpoints`. */
type Words = ReadonlyMap<string, string>;

export const calicoctlFile = '/etc/calico/calicoctl.cfg';

/** The file's name of each environment name; each may be written with `CALICO_` before it. */
const environmentNames: { readonly [environment: string]: string } = {
  DATASTORE_TYPE: 'datastoreType',
  MUSLIN_DATASTORE: 'datastoreFile',
  ETCD_ENDPOINTS: 'etcdEndpoints',
  ETCD_DISCOVERY_SRV: 'etcdDiscoverySrv',
  ETCD_USERNAME: 'etcdUsername',
  ETCD_PASSWORD: 'etcdPassword',
  ETCD_KEY_FILE: 'etcdKeyFile',
  ETCD_CERT_FILE: 'etcdCertFile',
  ETCD_CA_CERT_FILE: 'etcdCACertFile',
  ETCD_KEY: 'etcdKey',
  ETCD_CERT: 'etcdCert',
  ETCD_CA_CERT: 'etcdCACert',
  KUBECONFIG: 'kubeconfig',
  KUBECONFIG_INLINE: 'kubeconfigInline',
  K8S_API_ENDPOINT: 'k8sAPIEndpoint',
  K8S_KEY_FILE: 'k8sKeyFile',
  K8S_CERT_FILE: 'k8sCertFile',
  K8S_CA_FILE: 'k8sCAFile',
  K8S_API_TOKEN: 'k8sAPIToken',
  K8S_INSECURE_SKIP_TLS_VERIFY: 'k8sInsecureSkipTLSVerify',
  K8S_CURRENT_CONTEXT: 'k8sCurrentContext',
};

/** null when the environment names no store. @throws {InvalidError} {NotFoundError} */
export function datastoreOfEnvironment(env: Environment): DatastoreConfig | null {
  const words = new Map(
    Object.entries(environmentNames).flatMap(([name, word]) => {
      const value = env[`CALICO_${name}`] ?? env[name];
      return value === undefined || value === '' ? [] : [[word, value]];
    }),
  );
  return typeOf(words) === null ? null : datastoreOf(words, 'the environment');
}

/** @throws {NotFoundError} {InvalidError} naming the file and the word. */
export function datastoreOfFile(file: string): DatastoreConfig {
  const { kind, spec } = parsedFile(file);
  if (kind !== 'CalicoAPIConfig')
    throw new InvalidError(`${file}: got kind ${JSON.stringify(kind)}, want CalicoAPIConfig`);
  if (!isObject(spec)) throw new InvalidError(`${file}: got no spec, want one with datastoreType`);
  const words = Object.entries(spec).filter(([, value]) => value !== '');
  return datastoreOf(new Map(words.map(([name, value]) => [name, String(value)])), file);
}

/** Every value as it is written: a password of digits is no number. A message of the parser may show a password. */
function parsedFile(file: string): { readonly kind?: unknown; readonly spec?: unknown } {
  const text = textOf(file, 'the configuration');
  const document = parseDocument(text, { schema: 'failsafe', prettyErrors: true });
  const [fault] = document.errors;
  if (!fault) return plainOf(file, document);
  const [at] = fault.linePos ?? [];
  throw new InvalidError(`${file}: got no YAML: ${fault.code}${at ? ` at line ${at.line}` : ''}`);
}

/** An alias that stands for nothing is found only here, and would be shown: `*secret`. */
function plainOf(file: string, document: Document): object {
  try {
    return (document.toJS() as object | null) ?? {};
  } catch {
    throw new InvalidError(`${file}: got no YAML: an alias without its anchor`);
  }
}

function datastoreOf(words: Words, source: string): DatastoreConfig {
  const type = typeOf(words) ?? 'etcdv3';
  switch (type) {
    case 'embedded':
      return { type: 'embedded', file: wanted(words, 'datastoreFile', source) };
    case 'etcdv3':
      return etcdOf(words, source);
    case 'kubernetes':
      return kubernetesOf(words);
    default:
      throw new InvalidError(
        `${source}: datastoreType: got ${JSON.stringify(type)}, want etcdv3, kubernetes or embedded`,
      );
  }
}

/** As calicoctl: what is written says it, else what else is written. */
function typeOf(words: Words): string | null {
  const type = words.get('datastoreType');
  if (type !== undefined) return type;
  if (words.has('datastoreFile')) return 'embedded';
  if (words.has('etcdEndpoints') || words.has('etcdDiscoverySrv')) return 'etcdv3';
  return ['kubeconfig', 'kubeconfigInline', 'k8sAPIEndpoint'].some((name) => words.has(name))
    ? 'kubernetes'
    : null;
}

function etcdOf(words: Words, source: string): EtcdConfig {
  if (words.has('etcdDiscoverySrv'))
    throw new InvalidError(`${source}: etcdDiscoverySrv is not supported, want etcdEndpoints`);
  const endpoints = wanted(words, 'etcdEndpoints', source).split(',').map(endpointOf(source));
  const username = words.get('etcdUsername');
  const password = secretOf(words, 'etcdPassword');
  return {
    type: 'etcd',
    endpoints,
    ...(username === undefined ? {} : { username }),
    ...(password ? { password } : {}),
    ...tlsOf(words, { ca: 'etcdCACert', cert: 'etcdCert', key: 'etcdKey' }, 'File'),
  };
}

function endpointOf(source: string): (text: string) => string {
  return (text) => {
    const endpoint = text.trim();
    if (/^(https?|unix):\/\/\S+$/.test(endpoint)) return endpoint.replace(/\/+$/, '');
    throw new InvalidError(
      `${source}: etcdEndpoints: got ${JSON.stringify(endpoint.replace(/.*@/s, '...@'))}, want http://, https:// or unix:// and an address`,
    );
  };
}

function kubernetesOf(words: Words): KubernetesConfig {
  const inline = secretOf(words, 'kubeconfigInline');
  const token = secretOf(words, 'k8sAPIToken');
  const context = words.get('k8sCurrentContext');
  const server = words.get('k8sAPIEndpoint');
  return {
    type: 'kubernetes',
    kubeconfig: (words.get('kubeconfig') ?? '').split(':').filter((path) => path !== ''),
    ...(inline ? { inline } : {}),
    ...(context === undefined ? {} : { context }),
    ...(server === undefined ? {} : { server }),
    ...(token ? { token } : {}),
    ...(/^(true|1|t)$/i.test(words.get('k8sInsecureSkipTLSVerify') ?? '')
      ? { insecureSkipVerify: true }
      : {}),
    ...tlsOf(words, { ca: 'k8sCA', cert: 'k8sCert', key: 'k8sKey' }, 'File'),
  };
}

/** Each as a text, or as the path of a file that has it. */
function tlsOf(
  words: Words,
  names: { readonly ca: string; readonly cert: string; readonly key: string },
  suffix: string,
): { readonly tls?: TlsConfig } {
  const read = (name: string): string | undefined => {
    const path = words.get(`${name}${suffix}`);
    return words.get(name) ?? (path === undefined ? undefined : textOf(path, `${name}${suffix}`));
  };
  const [ca, cert, key] = [read(names.ca), read(names.cert), read(names.key)];
  if (ca === undefined && cert === undefined && key === undefined) return {};
  return {
    tls: {
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key: new Secret(key) }),
    },
  };
}

function secretOf(words: Words, name: string): Secret | null {
  const text = words.get(name);
  return text === undefined ? null : new Secret(text);
}

function wanted(words: Words, name: string, source: string): string {
  const value = words.get(name);
  if (value !== undefined && value !== '') return value;
  throw new InvalidError(`${source}: got no ${name}, want one`);
}

function textOf(path: string, what: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new NotFoundError(`cannot read ${what} ${path}: ${error instanceof Error ? error.message : error}`);
  }
}
