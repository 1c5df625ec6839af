// SPDX-License-Identifier: Apache-2.0
/**
 * Where a cluster's API is and who we are to it: a kubeconfig, or the service account of the pod that we run in.
 *
 * Read anew for each connection, so that a rotated certificate or authority counts with the next one.
 *
 * @see Kubernetes documentation, "Organizing Cluster Access Using kubeconfig Files"
 */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { parse, YAMLParseError } from 'yaml';
import { InvalidError, NotFoundError, UnsupportedError } from '../../lib/errors.ts';
import { Secret } from '../../lib/secret.ts';
import { isObject } from '../../model/json.ts';
import type { KubernetesConfig } from '../config.ts';
import { type ExecPlugin, execPluginOf } from './exec-plugin.ts';

export interface ClusterAccess {
  /** `https://10.0.0.1:6443`, `http://127.0.0.1:8001` (kubectl proxy), or `unix:///run/api.sock`. */
  readonly server: string;
  readonly serverName?: string;
  /** PEM. */
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: Secret;
  readonly insecureSkipVerify: boolean;
  readonly identity: Identity;
}

export type Identity =
  | { readonly type: 'none' }
  | { readonly type: 'token'; readonly token: Secret }
  | { readonly type: 'token-file'; readonly path: string }
  | { readonly type: 'exec'; readonly plugin: ExecPlugin };

type Environment = { readonly [name: string]: string | undefined };
type Section = { readonly [name: string]: unknown };

const accountFolder = '/var/run/secrets/kubernetes.io/serviceaccount';

/** @throws {NotFoundError} {InvalidError} {UnsupportedError} naming the file and the word. */
export function clusterAccess(config: KubernetesConfig, env: Environment): ClusterAccess {
  const written = writtenAccess(config, env);
  const { server = written?.server, tls, token } = config;
  if (server === undefined) throw new InvalidError('got no Kubernetes API server, want a kubeconfig');
  return {
    ...written,
    server: serverOf(server),
    insecureSkipVerify: config.insecureSkipVerify ?? written?.insecureSkipVerify ?? false,
    identity: token ? { type: 'token', token } : (written?.identity ?? { type: 'none' }),
    ...tls,
  };
}

function writtenAccess(config: KubernetesConfig, env: Environment): ClusterAccess | null {
  if (config.inline) return fromTexts([['the inline kubeconfig', config.inline.reveal()]], config.context);
  const [first] = config.kubeconfig;
  if (first !== undefined) return fromTexts(readConfigs(config.kubeconfig), config.context);
  if (config.server !== undefined) return null;
  return ofOwnPod(env);
}

/** Of the pod that we run in. @see Kubernetes documentation, "Accessing the Kubernetes API from a Pod" */
function ofOwnPod(env: Environment): ClusterAccess {
  const host = env.KUBERNETES_SERVICE_HOST;
  if (host === undefined)
    throw new NotFoundError('no cluster is named: want KUBECONFIG, --kubeconfig, or to run in a pod of it');
  const address = host.includes(':') ? `[${host}]` : host;
  return {
    server: `https://${address}:${env.KUBERNETES_SERVICE_PORT ?? '443'}`,
    ca: textOf(`${accountFolder}/ca.crt`),
    insecureSkipVerify: false,
    identity: { type: 'token-file', path: `${accountFolder}/token` },
  };
}

/** Of several, those that are not there are left out, as kubectl does. */
function readConfigs(paths: readonly string[]): readonly (readonly [string, string])[] {
  const present = paths.filter((path) => existsSync(path));
  return (present.length > 0 ? present : paths.slice(0, 1)).map((path) => [path, textOf(path)]);
}

interface Named {
  readonly file: string;
  readonly content: Section;
}

/** Of several files the first that names a thing counts. */
function fromTexts(
  texts: readonly (readonly [string, string])[],
  wantedContext: string | undefined,
): ClusterAccess {
  const files = texts.map(([file, text]) => ({ file, content: parsed(file, text) }));
  const current = files.map(({ content }) => content['current-context']).find((name) => Boolean(name));
  const name = wantedContext ?? (typeof current === 'string' ? current : undefined);
  if (name === undefined) throw new InvalidError(`${texts[0]?.[0]}: got no current-context, want one`);
  const context = named(files, 'contexts', 'context', name);
  const cluster = named(files, 'clusters', 'cluster', String(context.content.cluster ?? ''));
  const user = context.content.user;
  return {
    ...clusterPart(cluster),
    ...(typeof user === 'string' && user !== '' ? userPart(named(files, 'users', 'user', user)) : anonymous),
  };
}

const anonymous = { identity: { type: 'none' } } as const;

function named(files: readonly Named[], list: string, member: string, name: string): Named {
  for (const { file, content } of files) {
    const entries = Array.isArray(content[list]) ? content[list] : [];
    const entry = entries.find((each: unknown) => isObject(each) && each.name === name);
    if (isObject(entry)) return { file, content: isObject(entry[member]) ? entry[member] : {} };
  }
  throw new InvalidError(`${files[0]?.file}: got no ${member} ${JSON.stringify(name)}, want one in ${list}`);
}

function clusterPart({ file, content }: Named): Omit<ClusterAccess, 'identity'> {
  if (content['proxy-url'] !== undefined)
    throw new UnsupportedError(`${file}: proxy-url is not supported, want a server that is reached directly`);
  const ca = pem(file, content, 'certificate-authority');
  const serverName = content['tls-server-name'];
  return {
    server: String(content.server ?? ''),
    insecureSkipVerify: content['insecure-skip-tls-verify'] === true,
    ...(ca === undefined ? {} : { ca }),
    ...(typeof serverName === 'string' ? { serverName } : {}),
  };
}

/** `as`: to act as somebody else is to have less rights, so it is not left out without a word. */
const refusedOfUsers = [
  'auth-provider',
  'username',
  'password',
  'as',
  'as-uid',
  'as-groups',
  'as-user-extra',
];

function userPart({ file, content }: Named): Pick<ClusterAccess, 'cert' | 'key' | 'identity'> {
  for (const refused of refusedOfUsers)
    if (content[refused] !== undefined)
      throw new UnsupportedError(
        `${file}: ${refused} is not supported, want a client certificate, token, tokenFile or exec`,
      );
  const cert = pem(file, content, 'client-certificate');
  const key = pem(file, content, 'client-key');
  return {
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key: new Secret(key) }),
    identity: identityOf(file, content),
  };
}

function identityOf(file: string, { token, tokenFile, exec }: Section): Identity {
  if (typeof tokenFile === 'string') return { type: 'token-file', path: beside(file, tokenFile) };
  if (typeof token === 'string') return { type: 'token', token: new Secret(token) };
  if (exec !== undefined) return { type: 'exec', plugin: execPluginOf(file, exec) };
  return { type: 'none' };
}

/** The text itself in base64 (`-data`), or a path beside the kubeconfig. */
function pem(file: string, content: Section, name: string): string | undefined {
  const inline = content[`${name}-data`];
  if (typeof inline === 'string') return Buffer.from(inline, 'base64').toString('utf8');
  const path = content[name];
  return typeof path === 'string' ? textOf(beside(file, path)) : undefined;
}

function beside(file: string, path: string): string {
  return resolve(dirname(file), path);
}

function serverOf(text: string): string {
  if (/^unix:\/\/\S+$/.test(text)) return text;
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url && url.username + url.password !== '')
    throw new InvalidError(
      `got a user name or password in the address of ${url.host}, want a token or certificate`,
    );
  if (url && ['http:', 'https:'].includes(url.protocol) && url.search + url.hash === '')
    return text.replace(/\/+$/, '');
  throw new InvalidError(
    `got server ${JSON.stringify(text)}, want https://, http:// or unix:// and an address`,
  );
}

function parsed(file: string, text: string): Section {
  try {
    const content: unknown = parse(text, { logLevel: 'error', prettyErrors: true });
    if (isObject(content)) return content;
  } catch (error) {
    throw new InvalidError(`${file}: got no YAML: ${placeOf(error)}`);
  }
  throw new InvalidError(`${file}: got no kubeconfig, want kind Config`);
}

/** A message of the parser may show the text, secrets and all. */
function placeOf(error: unknown): string {
  if (!(error instanceof YAMLParseError)) return 'it cannot be read';
  const [at] = error.linePos ?? [];
  return at ? `${error.code} at line ${at.line}, column ${at.col}` : error.code;
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new NotFoundError(`cannot read ${path}: ${error instanceof Error ? error.message : error}`);
  }
}
