// SPDX-License-Identifier: Apache-2.0
/**
 * The agent's own settings: arguments first, then environment under Calico's names (NODENAME, FELIX_*), then Felix's file.
 * What is set for all nodes or for some comes from the store, later, by way of the graph.
 *
 * @see Calico documentation, "Configuring Felix": FELIX_ names are the parameter's name, in any case
 */
import { readFileSync } from 'node:fs';
import { type DataplaneName, dataplaneNames } from '../contract/config.ts';
import type { DatastoreConfig } from '../datastore/config.ts';
import { datastoreOfEnvironment, datastoreOfFile } from '../datastore/config-sources.ts';
import { cgroupRoot } from '../kernel/cgroup.ts';
import { InvalidError, NotFoundError, UsageError } from '../lib/errors.ts';
import { effectiveValue, type LocalWords, settingsOf } from '../model/felix/settings.ts';

export interface AgentConfig {
  readonly node: string;
  readonly dataplane: DataplaneName;
  readonly datastore: DatastoreConfig;
  /** Where status and health are served: a Unix socket. */
  readonly socket: string;
  /** A folder on a BPF file system, for the guards' pins. */
  readonly bpf: string;
  /** The control group (cgroup v2) below which sockets are led to services' backends when they connect: a folder. */
  readonly cgroup: string;
  /** Entries of the eBPF data plane's maps, by name: of file and environment alone, as they hold from the start on. */
  readonly mapSizes: { readonly [map: string]: number };
  /** The first letters of workloads' interfaces; of file and environment alone, as it holds from the start on. */
  readonly interfacePrefix: string;
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error' | 'fatal';
  readonly local: LocalWords;
}

export interface AgentArguments {
  readonly node?: string;
  /** An embedded store's file. */
  readonly datastore?: string;
  /** A file of Calico's that names another store: CalicoAPIConfig. */
  readonly config?: string;
  readonly socket?: string;
  readonly bpf?: string;
  readonly cgroup?: string;
  readonly dataplane?: string;
  readonly configFile?: string;
}

type Environment = { readonly [name: string]: string | undefined };

const usualFile = '/etc/calico/felix.cfg';

/**
 * Felix ends when it cannot read one of these on its own node, for what they keep out or let in is not to be guessed.
 *
 * @see felix/config/config_params.go, `die-on-fail`
 */
const vital = [
  'interfacePrefix',
  'defaultEndpointToHostAction',
  'failsafeInboundHostPorts',
  'failsafeOutboundHostPorts',
];

/** Felix's parameters for the sizes of maps, by our maps' names: bpf/maps.h. */
const sizeParameters = {
  flows: 'bpfMapSizeConntrack',
  routes: 'bpfMapSizeRoute',
  sets: 'bpfMapSizeIPSets',
  nets: 'bpfMapSizeIPSets',
  affinities: 'bpfMapSizeNATAffinity',
} as const;

/** @throws {UsageError} {InvalidError} {NotFoundError} */
export function agentConfig(args: AgentArguments, env: Environment): AgentConfig {
  const node = wanted(args.node ?? env.NODENAME, '--node or NODENAME');
  const local = { file: fileWords(args.configFile), environment: environmentWords(env) };
  const settings = settingsOf({ node, labels: {}, configurations: [], local });
  for (const name of vital) {
    const setting = settings.get(name);
    if (setting?.fault)
      throw new InvalidError(`cannot start: ${name} in the ${setting.source}: ${setting.fault}`);
  }
  return {
    node,
    dataplane: dataplaneOf(args.dataplane, effectiveValue(settings, 'bpfEnabled') === true),
    datastore: datastoreOf(args, env),
    socket: args.socket ?? '/run/muslin/agent.sock',
    bpf: args.bpf ?? '/sys/fs/bpf/muslin',
    cgroup: args.cgroup ?? cgroupRoot(),
    mapSizes: Object.fromEntries(
      Object.entries(sizeParameters).map(([map, name]) => [map, Number(effectiveValue(settings, name))]),
    ),
    interfacePrefix: interfacePrefix(String(effectiveValue(settings, 'interfacePrefix'))),
    logLevel: logLevel(String(effectiveValue(settings, 'logSeverityScreen'))),
    local,
  };
}

/** @throws {UsageError} {InvalidError} {NotFoundError} */
function datastoreOf({ datastore, config }: AgentArguments, env: Environment): DatastoreConfig {
  if (datastore !== undefined && datastore !== '') return { type: 'embedded', file: datastore };
  const found = config === undefined ? datastoreOfEnvironment(env) : datastoreOfFile(config);
  if (found) return found;
  throw new UsageError('want --datastore, --config, MUSLIN_DATASTORE or DATASTORE_TYPE');
}

/** bpfEnabled is Calico's way to say it; it counts in the file and the environment alone, as it holds from the start on. */
function dataplaneOf(argument: string | undefined, isBpfEnabled: boolean): DataplaneName {
  if (argument === undefined) return isBpfEnabled ? 'ebpf' : 'nftables';
  const name = dataplaneNames.find((each) => each === argument);
  if (name === undefined)
    throw new UsageError(`--dataplane: got ${argument}, want ${dataplaneNames.join(' or ')}`);
  return name;
}

function environmentWords(env: Environment): ReadonlyMap<string, string> {
  return new Map(
    Object.entries(env).flatMap(([name, value]) =>
      name.toUpperCase().startsWith('FELIX_') && value !== undefined ? [[name.slice(6), value]] : [],
    ),
  );
}

/** Lines of `Name = value` below headings in brackets, which say nothing; `#` and `;` begin a remark. */
function fileWords(named: string | undefined): ReadonlyMap<string, string> {
  const file = named ?? usualFile;
  const text = textOf(file, named !== undefined);
  const words = new Map<string, string>();
  for (const [i, line] of text.split('\n').entries()) {
    const content = line.replace(/[#;].*$/, '').trim();
    if (content === '' || /^\[.*\]$/.test(content)) continue;
    const at = content.indexOf('=');
    if (at < 1) throw new InvalidError(`${file}:${i + 1}: got ${JSON.stringify(content)}, want Name = value`);
    words.set(content.slice(0, at).trim(), content.slice(at + 1).trim());
  }
  return words;
}

/** Only a file that was asked for must be there. */
function textOf(file: string, mustExist: boolean): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (!mustExist) return '';
    throw new NotFoundError(`cannot read ${file}: ${error instanceof Error ? error.message : error}`);
  }
}

function wanted(value: string | undefined, names: string): string {
  if (value === undefined || value === '') throw new UsageError(`want ${names}`);
  return value;
}

function interfacePrefix(text: string): string {
  if (/^[a-zA-Z0-9_-]{1,10}$/.test(text)) return text;
  throw new InvalidError(
    `interfacePrefix: got ${JSON.stringify(text)}, want one prefix of 1 to 10 letters, digits, _ or -`,
  );
}

/** Calico's severities under the log's own names; Trace is its Debug. */
function logLevel(severity: string): AgentConfig['logLevel'] {
  const name = severity.toLowerCase();
  const levels = { trace: 'debug', debug: 'debug', info: 'info', error: 'error', fatal: 'fatal' } as const;
  return name in levels ? levels[name as keyof typeof levels] : 'warn';
}
