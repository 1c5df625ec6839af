// SPDX-License-Identifier: Apache-2.0
/** Felix's parameters: their names, what each may hold, and how its text is read. */

import { felixConfiguration } from '../schema/felix-configuration.ts';
import type { Schema } from '../schema/schema.ts';
import type { Json, JsonObject } from '../types.ts';
import { type Check, collect } from '../validate/check.ts';
import { compileSchema } from '../validate/structural.ts';
import { felixDefaults } from './defaults.ts';

export interface Parameter {
  /** As FelixConfiguration spells it. */
  readonly name: string;
  readonly schema: Schema;
  readonly fallback: Json;
  /** Environment and file alone may set it. */
  readonly isLocal: boolean;
}

/** What this version of Muslin does with a parameter; all others are read, checked and have no effect yet. */
export type Effect = 'at once' | 'at once with eBPF' | 'when the agent starts' | 'none yet';

const effects: ReadonlyMap<string, Effect> = new Map([
  ['defaultEndpointToHostAction', 'at once'],
  ['failsafeInboundHostPorts', 'at once'],
  ['failsafeOutboundHostPorts', 'at once'],
  ['allowVXLANPacketsFromWorkloads', 'at once'],
  ['allowIPIPPacketsFromWorkloads', 'at once'],
  ['vxlanPort', 'at once'],
  ['disableConntrackInvalidCheck', 'at once'],
  ['logPrefix', 'at once'],
  ['natOutgoingExclusions', 'at once with eBPF'],
  ['bpfExternalServiceMode', 'at once with eBPF'],
  ['bpfDSROptoutCIDRs', 'at once with eBPF'],
  ['bpfConntrackTimeouts', 'at once with eBPF'],
  ['bpfPSNATPorts', 'at once with eBPF'],
  ['bpfConnectTimeLoadBalancing', 'at once with eBPF'],
  ['bpfConnectTimeLoadBalancingEnabled', 'at once with eBPF'],
  ['bpfEnabled', 'when the agent starts'],
  ['bpfMapSizeConntrack', 'when the agent starts'],
  ['bpfMapSizeRoute', 'when the agent starts'],
  ['bpfMapSizeIPSets', 'when the agent starts'],
  ['bpfMapSizeNATAffinity', 'when the agent starts'],
  ['interfacePrefix', 'when the agent starts'],
  ['logSeverityScreen', 'when the agent starts'],
]);

const anyText: Schema = { type: 'string' };
const localNames = [
  'datastoreType',
  'etcdAddr',
  'etcdScheme',
  'etcdEndpoints',
  'etcdCaFile',
  'etcdCertFile',
  'etcdKeyFile',
  'felixHostname',
  'typhaAddr',
  'typhaK8sNamespace',
  'typhaK8sServiceName',
  'typhaReadTimeout',
  'typhaWriteTimeout',
  'typhaCAFile',
  'typhaCertFile',
  'typhaKeyFile',
  'typhaCN',
  'typhaURISAN',
  'debugCPUProfilePath',
  'debugPanicAfter',
  'debugSimulateDataRace',
];

/** By lower-case name: the environment and the file spell as they like. */
const parameters: ReadonlyMap<string, Parameter> = new Map(
  [
    ...Object.entries(felixConfiguration.properties?.spec?.properties ?? {})
      .filter(([name]) => name !== 'nodeSelector')
      .map(([name, schema]) => ({ name, schema, isLocal: false })),
    ...localNames.map((name) => ({ name, schema: anyText, isLocal: true })),
  ].map((row) => [row.name.toLowerCase(), { ...row, fallback: felixDefaults[row.name] ?? null }]),
);

export function allParameters(): Iterable<Parameter> {
  return parameters.values();
}

/** In any case; null: Felix knows none of that name. */
export function parameterOf(name: string): Parameter | null {
  return parameters.get(name.toLowerCase()) ?? null;
}

export function effectOf(name: string): Effect {
  return effects.get(name) ?? 'none yet';
}

/** @param text - as in the environment. @returns the value, or what is wrong with the text. */
export function readParameter(parameter: Parameter, text: string): { value: Json } | { fault: string } {
  if (text.trim().toLowerCase() === 'none') return { value: noneOf(parameter.schema) };
  const value = jsonOf(parameter.schema, text.trim());
  const [fault] = collect(checkOf(parameter), value);
  return fault ? { fault: fault.message } : { value };
}

/** "none" empties what it can. */
function noneOf(schema: Schema): Json {
  if (schema.type === 'array') return [];
  return schema.type === 'integer' || schema.type === 'number' ? 0 : schema.type === 'boolean' ? false : '';
}

const checks = new Map<string, Check>();

function checkOf({ name, schema }: Parameter): Check {
  const known = checks.get(name);
  if (known) return known;
  const check = compileSchema(schema);
  checks.set(name, check);
  return check;
}

const truths: ReadonlyMap<string, boolean> = new Map([
  ...['true', '1', 'yes', 'y', 't'].map((text) => [text, true] as const),
  ...['false', '0', 'no', 'n', 'f'].map((text) => [text, false] as const),
]);

/** What is not of the form stays text, which the check then refuses with what was found. */
function jsonOf(schema: Schema, text: string): Json {
  switch (schema.type) {
    case 'boolean':
      return truths.get(text.toLowerCase()) ?? text;
    case 'integer':
    case 'number':
      return /^-?(0x[0-9a-f]+|[0-9]+(\.[0-9]+)?)$/i.test(text) ? Number(text) : text;
    case 'array':
      return text === '' ? [] : text.split(',').map((item) => itemOf(schema.items ?? {}, item.trim()));
    case 'object':
      return objectOf(text);
    default:
      return isDuration(schema) && /^[0-9]+(\.[0-9]+)?$/.test(text) ? `${text}s` : text;
  }
}

/** Older files give seconds as a bare number. */
function isDuration({ format, pattern }: Schema): boolean {
  return format === 'duration' || (pattern?.includes('ms') ?? false);
}

function itemOf(schema: Schema, text: string): Json {
  return schema.type === 'object' && schema.properties?.port ? failsafeOf(text) : jsonOf(schema, text);
}

/** `PROTOCOL:[NET]:PORT`, `PROTOCOL:NET:PORT`, `PROTOCOL:PORT` or `PORT`; TCP where there is none. */
function failsafeOf(text: string): Json {
  const match = /^(?:([a-z]+):)?(?:\[([^\]]+)\]:|([0-9./]+):)?([0-9]+)$/i.exec(text);
  if (!match) return text;
  const [, protocol = 'TCP', net6, net4, port] = match;
  const net = net6 ?? net4;
  return { protocol: protocol.toUpperCase(), port: Number(port), ...(net === undefined ? {} : { net }) };
}

function objectOf(text: string): Json {
  try {
    return JSON.parse(text) as JsonObject;
  } catch {
    return text;
  }
}
