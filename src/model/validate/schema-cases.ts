// SPDX-License-Identifier: Apache-2.0
/** Objects made from a schema itself: valid ones that write each of its fields, and ones with one fault each. For tests. */

import { isObject } from '../json.ts';
import { patterns } from '../schema/patterns.ts';
import type { Schema } from '../schema/schema.ts';
import type { Json } from '../types.ts';
import { collect } from './check.ts';
import { compileSchema } from './structural.ts';

export interface Case {
  readonly name: string;
  readonly resource: Json;
  /** Of the one fault; null for a valid one. */
  readonly path: string | null;
}

type Fields = { readonly [name: string]: Json };
/** The whole resource with this value in its place. */
type Place = (value: Json) => Json;
type IsValid = (resource: Json) => boolean;

const byFormat: { readonly [format: string]: Json } = {
  selector: 'has(a)',
  'rule-namespace-selector': 'global()',
  protocol: 'TCP',
  'protocol-with-ports': 17,
  'rule-port': '8000:8080',
  'pod-port': 80,
  'port-range': '1000:2000',
  'port-name': 'http',
  net: '10.0.0.0/8',
  'negated-net': 'fd00::/8',
  'any-net': '10.0.0.1/8',
  'ipv4-net': '10.0.0.1',
  cidr: '10.0.0.0/8',
  'masked-cidr': '10.0.0.0/16',
  'ipv4-cidr': '10.0.0.0/16',
  'ipv6-cidr': 'fd00::/16',
  'ipv4-interface': '192.0.2.1/24',
  'ipv6-interface': '2001:db8::1/64',
  ip: '192.0.2.1',
  ipv4: '192.0.2.1',
  ipv6: '2001:db8::1',
  'peer-address': '[2001:db8::1]:179',
  host: 'localhost',
  'dns-name': 'a.b-c',
  'dns-label': 'a-b',
  labels: { 'example.org/a': 'b' },
  'label-key': 'example.org/a',
  'label-value': 'b',
  annotations: { 'example.org/a': 'b c' },
  'inherited-labels': { 'pcns.a': 'b' },
  interface: 'eth0',
  'interface-or-any': '*',
  'interface-pattern': 'eth*',
  'interface-filter': 'eth+',
  'http-method': 'GET',
  regex: '^eth[0-9]+$',
  duration: '1m30s',
  'date-time': '2026-08-22T10:00:00Z',
  'as-number': '65000.1',
  community: '65000:100',
  dscp: 'AF11',
  mac: 'ee:ee:ee:ee:ee:ee',
  'wireguard-key': `${'A'.repeat(43)}=`,
  int32: 1,
  int64: 1,
};

const byPattern: { readonly [pattern: string]: string } = {
  [patterns.duration]: '1m30s',
  [patterns.conntrackTimeout]: 'Auto',
  [patterns.featureOverrides]: 'A=true,B=',
  [patterns.featureGates]: 'A=b,C=d',
  [patterns.rateLimit]: '10/second',
  [patterns.logPrefix]: 'a %t',
  [patterns.affinity]: 'host:a',
  [patterns.condition]: 'Ready',
  [patterns.conditionType]: 'Ready',
};

/** Where more is asked of a field than its schema says. */
const byName: { readonly [name: string]: Json } = {
  exact: '/x',
  prefix: '/x',
  communities: ['65000:100'],
  end: 2,
};

/** What a field needs beside it, where the rules say so. */
const companyOf: { readonly [name: string]: Fields } = {
  icmp: { protocol: 'ICMP' },
  notICMP: { protocol: 'ICMP' },
  source: { protocol: 'TCP' },
  destination: { protocol: 'TCP' },
  communities: { prefixAdvertisements: [{ cidr: '10.0.0.0/16', communities: ['65000:100'] }] },
  ipNATs: { ipNetworks: ['192.0.2.1/32'] },
};

/** What Go refuses where a shared piece of schema stands. */
const refused = /^spec\.(ingress\[0\]\.destination\.services|egress\[0\]\.(source\.services|http))$/;

/** Nothing that any format, pattern, enum or number takes. */
const odd = '-\u0001(odd';

export class CaseMaker {
  readonly #isValid: IsValid;
  readonly cases: Case[] = [];

  constructor(isValid: IsValid) {
    this.#isValid = isValid;
  }

  /** @param place - valid with what this schema takes. */
  visit(schema: Schema, path: string, place: Place): void {
    const value = this.#valid(schema, place);
    if (value === undefined) throw new Error(`no valid value for ${path}`);
    this.cases.push({ name: `${path} valid`, resource: place(value), path: null });
    this.#single(schema, path, place, value);
    if (schema.type === 'object') this.#object(schema, path, place);
    if (schema.type === 'array') this.#list(schema, path, place, value);
  }

  #single(schema: Schema, path: string, place: Place, value: Json): void {
    const wrong = (name: string, other: Json, at = path) =>
      this.cases.push({ name: `${path} ${name}`, resource: place(other), path: at });
    if (schema['x-kubernetes-int-or-string']) {
      wrong('type', true);
      wrong('format', odd);
      return;
    }
    if (schema.type === undefined) return;
    wrong('type', schema.type === 'string' ? 5.5 : 'text');
    if (schema.enum) wrong('enum', schema.type === 'string' ? odd : 99);
    if (schema.pattern !== undefined || (schema.type === 'string' && schema.format)) wrong('format', odd);
    if (schema.minimum !== undefined) wrong('minimum', schema.minimum - 1);
    if (schema.maximum !== undefined) wrong('maximum', schema.maximum + 1);
    if (schema.type === 'integer' && !schema.enum) wrong('fraction', (schema.minimum ?? 0) + 0.5);
    if (schema.minLength) wrong('minLength', '');
    if (schema.maxLength !== undefined) wrong('maxLength', 'a'.repeat(schema.maxLength + 1));
    if (schema.minProperties) wrong('minProperties', {});
    for (const name of schema.required ?? []) {
      if (!isObject(value) || schema.properties?.[name]?.default !== undefined) continue;
      const { [name]: _, ...others } = value as Fields;
      wrong(`without ${name}`, others, join(path, name));
    }
  }

  #object(schema: Schema, path: string, place: Place): void {
    const { properties = {}, additionalProperties } = schema;
    const base = this.#valid(schema, place) as Fields;
    for (const [name, child] of Object.entries(properties)) {
      if (refused.test(join(path, name))) continue;
      const company = this.#company(schema, name, child, place);
      if (!company) throw new Error(`no valid object with ${join(path, name)}`);
      this.visit(child, join(path, name), (value) => place({ ...company, [name]: value }));
    }
    if (additionalProperties) {
      const key = 'key';
      this.visit(additionalProperties, join(path, key), (value) => place({ ...base, [key]: value }));
    } else if (Object.keys(properties).length > 0) this.#unknown(base, path, place);
  }

  #unknown(base: Fields, path: string, place: Place): void {
    for (const name of ['unheardOf', 'constructor', '__proto__', 'toString']) {
      const members = [...Object.entries(base), [name, { polluted: true }] as const];
      this.cases.push({
        name: `${path} unknown ${name}`,
        resource: place(Object.fromEntries(members)),
        path: join(path, name),
      });
    }
  }

  #list(schema: Schema, path: string, place: Place, value: Json): void {
    const { items, minItems = 0, maxItems } = schema;
    if (!items) return;
    this.visit(items, `${path}[0]`, (item) => place([item]));
    const [item] = value as readonly Json[];
    if (item === undefined) return;
    const wrong = (name: string, list: Json, at: string) =>
      this.cases.push({ name: `${path} ${name}`, resource: place(list), path: at });
    if (minItems > 0) wrong('minItems', [], path);
    if (maxItems !== undefined) wrong('maxItems', Array(maxItems + 1).fill(item), path);
    if (/set|map/.test(schema['x-kubernetes-list-type'] ?? '') && (maxItems ?? 2) > 1)
      wrong('twice', [item, item], `${path}[1]`);
  }

  /** The other fields that let `name` be written. */
  #company(schema: Schema, name: string, child: Schema, place: Place): Fields | null {
    const fits = (company: Fields) =>
      this.#valid(child, (value) => place({ ...company, [name]: value })) !== undefined;
    for (const company of this.#companies(schema, name, place)) if (fits(company)) return company;
    return null;
  }

  *#companies(schema: Schema, name: string, place: Place): Generator<Fields> {
    const least = this.#required(schema);
    const others = Object.keys(schema.properties ?? {});
    yield* [{ ...least, ...companyOf[name] }, least, {}];
    for (const other of others) yield this.#with(schema, least, [other]);
    const base = this.#valid(schema, place);
    if (isObject(base)) yield base as Fields;
    if (others.length < 20)
      for (const a of others) for (const b of others) yield this.#with(schema, least, [a, b]);
  }

  #required(schema: Schema): Fields {
    return this.#with(schema, {}, schema.required ?? []);
  }

  #with(schema: Schema, fields: Fields, names: readonly string[]): Fields {
    const added = names.map(
      (name) => [name, this.#plain(schema.properties?.[name] ?? {}, byName[name])] as const,
    );
    return { ...fields, ...Object.fromEntries(added) };
  }

  /** Whatever its surroundings say. */
  #plain(schema: Schema, example?: Json): Json {
    const check = compileSchema(schema);
    if (example !== undefined && collect(check, example).length === 0) return example;
    for (const value of this.#candidates(schema)) if (collect(check, value).length === 0) return value;
    return 'x';
  }

  #valid(schema: Schema, place: Place): Json | undefined {
    for (const value of this.#candidates(schema)) if (this.#isValid(place(value))) return value;
    return undefined;
  }

  #candidates(schema: Schema): Iterable<Json> {
    if (schema.enum) return schema.enum;
    const { format, pattern, type } = schema;
    if (pattern !== undefined)
      return [byPattern[pattern] ?? /\((\w+)/.exec(pattern.replace('(?i)', ''))?.[1] ?? 'x'];
    if (type === 'integer' || type === 'number')
      return [schema.minimum ?? 1, schema.maximum ?? 1, 1, 26, 128];
    if (format !== undefined)
      return [byFormat[format] ?? 'x', '10.0.0.0/16', '65000:100', 'ICMP', 80, '2001:db8::1'];
    if (type === 'string') return ['x', '10.0.0.0/8', '/x', '65000:100', '192.0.2.1', '2001:db8::1'];
    if (type === 'boolean') return [true, false];
    if (type === 'array') return this.#lists(schema.items ?? {});
    return type === 'object' ? this.#objects(schema) : [{ anything: 1 }];
  }

  *#lists(items: Schema): Generator<Json> {
    for (const item of this.#candidates(items)) yield [item];
    yield [];
  }

  *#objects(schema: Schema): Generator<Json> {
    const names = Object.keys(schema.properties ?? {});
    const least = this.#required(schema);
    yield least;
    for (const name of names) yield this.#with(schema, least, [name]);
    yield this.#with(schema, least, names);
  }
}

function join(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`;
}
