// SPDX-License-Identifier: Apache-2.0
/** What a lab consists of: the file behind `lab up -f`, and the same with defaults filled in, as the lab's own processes read it. */
import { LineCounter, parseDocument } from 'yaml';
import { type DataplaneName, dataplaneNames } from '../contract/config.ts';
import { addressFromNumber, type Family, familyOf, parseAddress } from '../lib/address.ts';
import type { Address, Cidr, IfName } from '../lib/brand.ts';
import { cidrRange, tryParseCidr } from '../lib/cidr.ts';
import { type Fault, InvalidError } from '../lib/errors.ts';
import { parseIfName } from '../lib/if-name.ts';

export const datastoreNames = ['embedded', 'etcd', 'kubernetes'] as const;
/** What keeps the lab's state. */
export type DatastoreName = (typeof datastoreNames)[number];

/** A lab as it runs. */
export interface LabSpec {
  /** Of every node. */
  readonly dataplane: DataplaneName;
  readonly datastore: DatastoreName;
  readonly nodes: readonly LabNode[];
  readonly pools: readonly Cidr[];
}

export interface LabNode {
  readonly name: string;
  /** On the network that joins the nodes, one of each family. */
  readonly addresses: readonly Address[];
}

/** A lab as its author wrote it. */
export interface LabFile {
  readonly dataplane: DataplaneName;
  readonly datastore: DatastoreName;
  readonly nodes: readonly string[];
  readonly pools: readonly Cidr[];
  /** Paths, relative to the file, of manifests to apply. */
  readonly manifests: readonly string[];
  readonly workloads: readonly WorkloadEntry[];
}

/** A Pod in short. */
export interface WorkloadEntry {
  readonly name: string;
  readonly namespace: string;
  readonly labels: { readonly [key: string]: string };
  readonly ports: readonly number[];
  readonly node?: string;
  readonly addresses: readonly Address[];
}

export const defaultPools = ['10.65.0.0/16', 'fd65::/64'] as readonly string[] as readonly Cidr[];

/** The networks that join nodes: private (RFC 1918, RFC 4193), and inside namespaces only. */
export const fabricNetworks: { readonly [F in Family]: Cidr } = {
  4: '172.30.65.0/24' as Cidr,
  6: 'fd30:65::/64' as Cidr,
};
/** Each node's link to that network. */
export const uplinkName: IfName = parseIfName('eth0');
const maximumNodes = 200; // each takes one address of the IPv4 fabric

/** @throws {InvalidError} */
export function labSpec(
  nodes: readonly string[],
  pools: readonly Cidr[],
  dataplane: DataplaneName = 'nftables',
  datastore: DatastoreName = 'embedded',
): LabSpec {
  if (nodes.length < 1 || nodes.length > maximumNodes) {
    throw new InvalidError(`lab: got ${nodes.length} nodes, want 1 to ${maximumNodes}`);
  }
  return {
    dataplane,
    datastore,
    nodes: nodes.map((name, i) => ({
      name,
      addresses: ([4, 6] as const).map((family) => fabricAddress(family, i + 11)),
    })),
    pools,
  };
}

function fabricAddress(family: Family, host: number): Address {
  return addressFromNumber(cidrRange(fabricNetworks[family]).first + BigInt(host), family);
}

export function numberedNodes(count: number): readonly string[] {
  return Array.from({ length: count }, (_, i) => `node${i + 1}`);
}

/**
 * Reads lab.yaml: `dataplane` (nftables, ebpf), `datastore` (embedded, etcd, kubernetes), `nodes` (a number, or names), `pools` (CIDRs), `manifests` (paths), `workloads` (Pods in short).
 *
 * @throws {InvalidError} with every fault, by line and column.
 */
export function parseLabFile(file: string, text: string): LabFile {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  const reader = new LabReader(file, lines);
  for (const error of document.errors) reader.fault('', error.message.split('\n')[0] ?? '', error.pos[0]);
  if (document.errors.length > 0) throw reader.error();
  const value: unknown = document.toJS({ maxAliasCount: 0 });
  const at = (path: readonly (string | number)[]) => offsetOf(document.getIn(path, true));
  const lab = reader.read(value, at);
  if (reader.faults.length > 0) throw reader.error();
  return lab;
}

function offsetOf(node: unknown): number {
  const range = typeof node === 'object' && node !== null && 'range' in node ? node.range : null;
  return Array.isArray(range) && typeof range[0] === 'number' ? range[0] : 0;
}

type Locate = (path: readonly (string | number)[]) => number;

class LabReader {
  readonly faults: Fault[] = [];
  readonly #file: string;
  readonly #lines: LineCounter;

  constructor(file: string, lines: LineCounter) {
    this.#file = file;
    this.#lines = lines;
  }

  fault(path: string, message: string, offset: number): void {
    const { line, col } = this.#lines.linePos(offset);
    this.faults.push({ path, message, file: this.#file, line: Math.max(1, line), column: Math.max(1, col) });
  }

  error(): InvalidError {
    return new InvalidError(`${this.#file}: not a lab`, this.faults);
  }

  read(value: unknown, at: Locate): LabFile {
    const fields = this.#object(
      value ?? {},
      [],
      ['dataplane', 'datastore', 'nodes', 'pools', 'manifests', 'workloads'],
      at,
    );
    const nodes = this.#nodes(fields.nodes ?? 3, at);
    return {
      dataplane: this.#choice('dataplane', fields.dataplane ?? 'nftables', dataplaneNames, at),
      datastore: this.#choice('datastore', fields.datastore ?? 'embedded', datastoreNames, at),
      nodes,
      pools: this.#list(fields, 'pools', at, (item, path) => this.#cidr(item, path, at), [...defaultPools]),
      manifests: this.#list(fields, 'manifests', at, (item, path) => this.#text(item, path, at), []),
      workloads: this.#list(fields, 'workloads', at, (item, path) => this.#workload(item, path, at), []),
    };
  }

  /** The first of them when it is none. */
  #choice<T extends string>(field: string, value: unknown, choices: readonly [T, ...T[]], at: Locate): T {
    const choice = choices.find((each) => each === value);
    if (choice === undefined)
      this.fault(field, `got ${JSON.stringify(value)}, want ${choices.join(' or ')}`, at([field]));
    return choice ?? choices[0];
  }

  #nodes(value: unknown, at: Locate): readonly string[] {
    if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= maximumNodes) {
      return numberedNodes(value);
    }
    if (Array.isArray(value) && value.length > 0) {
      value.forEach((item, i) => {
        if (value.indexOf(item) < i)
          this.fault(
            `nodes.${i}`,
            `got ${JSON.stringify(item)} again, want each node once`,
            at(['nodes', i]),
          );
      });
      return value.map((item, i) => this.#name(item, ['nodes', i], at));
    }
    this.fault(
      'nodes',
      `got ${JSON.stringify(value)}, want a number from 1 to ${maximumNodes} or a list of names`,
      at(['nodes']),
    );
    return [];
  }

  #workload(value: unknown, path: (string | number)[], at: Locate): WorkloadEntry {
    const fields = this.#object(
      value,
      path,
      ['name', 'namespace', 'labels', 'ports', 'node', 'addresses'],
      at,
    );
    const labels = this.#object(fields.labels ?? {}, [...path, 'labels'], null, at);
    const list = <T>(key: string, read: (item: unknown, itemPath: (string | number)[]) => T): T[] =>
      this.#list(fields, key, at, read, [], path);
    return {
      name: this.#name(fields.name, [...path, 'name'], at),
      namespace: this.#name(fields.namespace ?? 'default', [...path, 'namespace'], at),
      labels: Object.fromEntries(Object.entries(labels).map(([key, label]) => [key, String(label)])),
      ports: list('ports', (item, itemPath) => this.#port(item, itemPath, at)),
      addresses: list('addresses', (item, itemPath) => this.#address(item, itemPath, at)),
      ...(fields.node === undefined ? {} : { node: this.#name(fields.node, [...path, 'node'], at) }),
    };
  }

  #object(
    value: unknown,
    path: (string | number)[],
    known: readonly string[] | null,
    at: Locate,
  ): { [key: string]: unknown } {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      this.fault(path.join('.'), `got ${JSON.stringify(value)}, want fields`, at(path));
      return {};
    }
    for (const key of Object.keys(value)) {
      if (known && !known.includes(key)) {
        this.fault(
          [...path, key].join('.'),
          `unknown field ${JSON.stringify(key)}, want one of ${known.join(', ')}`,
          at([...path, key]),
        );
      }
    }
    return value as { [key: string]: unknown };
  }

  #list<T>(
    fields: { [key: string]: unknown },
    key: string,
    at: Locate,
    read: (item: unknown, path: (string | number)[]) => T,
    otherwise: T[],
    parent: (string | number)[] = [],
  ): T[] {
    const value = fields[key];
    if (value === undefined || value === null) return otherwise;
    const path = [...parent, key];
    if (Array.isArray(value)) return value.map((item, i) => read(item, [...path, i]));
    this.fault(path.join('.'), `got ${JSON.stringify(value)}, want a list`, at(path));
    return otherwise;
  }

  #name(value: unknown, path: (string | number)[], at: Locate): string {
    if (typeof value === 'string' && /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(value)) return value;
    this.fault(path.join('.'), `got ${JSON.stringify(value)}, want a DNS label: a-z, 0-9 and -`, at(path));
    return '';
  }

  #text(value: unknown, path: (string | number)[], at: Locate): string {
    if (typeof value === 'string' && value !== '') return value;
    this.fault(path.join('.'), `got ${JSON.stringify(value)}, want a path`, at(path));
    return '';
  }

  #cidr(value: unknown, path: (string | number)[], at: Locate): Cidr {
    const cidr = typeof value === 'string' ? tryParseCidr(value) : null;
    if (cidr) return cidr;
    this.fault(path.join('.'), `got ${JSON.stringify(value)}, want a CIDR such as 10.65.0.0/16`, at(path));
    return '0.0.0.0/0' as Cidr;
  }

  #port(value: unknown, path: (string | number)[], at: Locate): number {
    if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 65535) return value;
    this.fault(path.join('.'), `got ${JSON.stringify(value)}, want a port from 1 to 65535`, at(path));
    return 0;
  }

  #address(value: unknown, path: (string | number)[], at: Locate): Address {
    try {
      return parseAddress(String(value));
    } catch {
      this.fault(path.join('.'), `got ${JSON.stringify(value)}, want an IP address`, at(path));
      return '' as Address;
    }
  }
}

export const poolName = (cidr: Cidr): string =>
  `default-ipv${familyOf(cidr)}-${cidr.replace(/[^0-9a-f]+/g, '-')}`;
