// SPDX-License-Identifier: Apache-2.0
/**
 * The agent's own settings: arguments first, then environment under Calico's names (NODENAME, FELIX_*).
 *
 * @see Calico documentation, "Configuring Felix": FELIX_ names are the parameter's name, in any case
 */
import { InvalidError, UsageError } from '../lib/errors.ts';

export interface AgentConfig {
  readonly node: string;
  /** The embedded store's file. */
  readonly datastore: string;
  /** Where status and health are served: a Unix socket. */
  readonly socket: string;
  /** A folder on a BPF file system, for the guards' pins. */
  readonly bpf: string;
  /** The first letters of workloads' interfaces. FELIX_InterfacePrefix, @defaultValue cali */
  readonly interfacePrefix: string;
  /** FELIX_DefaultEndpointToHostAction, @defaultValue drop */
  readonly endpointToHost: 'drop' | 'return' | 'accept';
  /** FELIX_LogSeverityScreen, @defaultValue info */
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error' | 'fatal';
}

export interface AgentArguments {
  readonly node?: string;
  readonly datastore?: string;
  readonly socket?: string;
  readonly bpf?: string;
}

type Environment = { readonly [name: string]: string | undefined };

/** @throws {UsageError} {InvalidError} */
export function agentConfig(args: AgentArguments, env: Environment): AgentConfig {
  const felix = felixParameters(env);
  return {
    node: wanted(args.node ?? env.NODENAME, '--node or NODENAME'),
    datastore: wanted(args.datastore ?? env.MUSLIN_DATASTORE, '--datastore or MUSLIN_DATASTORE'),
    socket: args.socket ?? '/run/muslin/agent.sock',
    bpf: args.bpf ?? '/sys/fs/bpf/muslin',
    interfacePrefix: interfacePrefix(felix.get('interfaceprefix') ?? 'cali'),
    endpointToHost: oneOf('DefaultEndpointToHostAction', felix, ['drop', 'return', 'accept'], 'drop'),
    logLevel: logLevel(felix.get('logseverityscreen') ?? 'info'),
  };
}

function felixParameters(env: Environment): ReadonlyMap<string, string> {
  return new Map(
    Object.entries(env).flatMap(([name, value]) =>
      name.toUpperCase().startsWith('FELIX_') && value !== undefined
        ? [[name.slice(6).toLowerCase(), value]]
        : [],
    ),
  );
}

function wanted(value: string | undefined, names: string): string {
  if (value === undefined || value === '') throw new UsageError(`want ${names}`);
  return value;
}

function interfacePrefix(text: string): string {
  if (/^[a-zA-Z0-9_-]{1,10}$/.test(text)) return text;
  throw new InvalidError(
    `FELIX_InterfacePrefix: got ${JSON.stringify(text)}, want 1 to 10 letters, digits, _ or -`,
  );
}

function oneOf<T extends string>(
  name: string,
  felix: ReadonlyMap<string, string>,
  allowed: readonly T[],
  otherwise: T,
): T {
  const text = felix.get(name.toLowerCase());
  if (text === undefined) return otherwise;
  const found = allowed.find((value) => value === text.toLowerCase());
  if (found) return found;
  throw new InvalidError(`FELIX_${name}: got ${JSON.stringify(text)}, want one of ${allowed.join(', ')}`);
}

/** Calico's severities (Debug, Info, Warning, Error, Fatal) and the log's own names for them. */
function logLevel(text: string): AgentConfig['logLevel'] {
  const name = text.toLowerCase() === 'warning' ? 'warn' : text.toLowerCase();
  const levels = ['debug', 'info', 'warn', 'error', 'fatal'] as const;
  const level = levels.find((candidate) => candidate === name);
  if (level) return level;
  throw new InvalidError(
    `FELIX_LogSeverityScreen: got ${JSON.stringify(text)}, want one of ${levels.join(', ')}`,
  );
}
