// SPDX-License-Identifier: Apache-2.0
/**
 * The whole way of one manifest through the pure tiers, with what must hold at each stop whatever was written: text,
 * resource, value, graph, messages, rules, and the oracle as a second reader.
 */
import assert from 'node:assert/strict';
import { compileFor } from '../../src/calc/compile.ts';
import { familyOf, parseAddress } from '../../src/lib/address.ts';
import type { Address } from '../../src/lib/brand.ts';
import { type Fault, UnsupportedError } from '../../src/lib/errors.ts';
import { builtinUpdate, builtinUpdates } from '../../src/model/builtin.ts';
import { isObject } from '../../src/model/json.ts';
import { keyOf, keyPath } from '../../src/model/kinds.ts';
import { readManifest } from '../../src/model/manifest.ts';
import { oracleOf } from '../../src/model/oracle/oracle.ts';
import type { OraclePacket } from '../../src/model/oracle/policy.ts';
import type { Resource, ResourceKey, Update } from '../../src/model/types.ts';
import { updatesOf } from '../../src/model/updates.ts';
import { isRuleFault } from '../../src/model/validate/kubernetes.ts';
import { validateResource } from '../../src/model/validate/resource.ts';
import { DataplaneState } from '../../src/observe/dataplane-state.ts';
import { explain, type Party } from '../../src/observe/explain.ts';
import { cluster, gnp, hep } from '../support/oracle-cluster.ts';
import { assertNftText, nftOperations } from './nft-grammar.ts';

const node = 'n1';
const file = 'hostile.yaml';

/** Those that nobody harmed. */
export const neighbours: readonly Resource[] = [
  ...cluster,
  hep('up', { interfaceName: 'eth0', expectedIPs: ['172.16.0.1'], profiles: ['kns.red'] }),
  gnp('good', {
    order: 7,
    selector: 'has(app) || has(host)',
    applyOnForward: true,
    ingress: [
      { action: 'Allow', protocol: 'TCP', source: { selector: "app == 'a'" }, destination: { ports: [80] } },
    ],
  }),
];

const packets: readonly OraclePacket[] = [
  ['10.0.0.1', '10.0.0.2', 6, 80],
  ['10.0.0.2', '10.0.0.3', 17, 53],
  ['fd00::1', 'fd00::2', 6, 443],
  ['192.0.2.1', '10.0.0.1', 6, 80],
].map(([from, to, protocol, dstPort]) => ({
  from: parseAddress(String(from)),
  to: parseAddress(String(to)),
  protocol: Number(protocol),
  srcPort: 40_000,
  dstPort: Number(dstPort),
}));

/** Messages quote what was written, and never all of it. */
const longestMessage = 2500;

/** @returns what was accepted. */
export function readHostile(text: string): readonly Resource[] {
  const { resources, faults } = readManifest(file, text);
  const lineCount = text.split('\n').length;
  for (const fault of faults) {
    assertTold(fault);
    assert.equal(fault.file, file);
    assert.ok((fault.line ?? 0) >= 1 && (fault.line ?? 0) <= lineCount, `line of ${JSON.stringify(fault)}`);
    assert.ok((fault.column ?? 0) >= 1, `column of ${JSON.stringify(fault)}`);
  }
  assert.ok(faults.length <= 4 * text.length + 10, `${faults.length} faults of ${text.length} characters`);
  for (const { resource } of resources) assertFixedPoint(resource);
  return resources.map(({ resource }) => resource);
}

function assertTold({ message, path }: Fault): void {
  assert.ok(message !== '' && message.length <= longestMessage, `a message of ${message.length} at ${path}`);
}

function assertFixedPoint(resource: Resource): void {
  const again = validateResource(resource);
  assert.deepEqual(again.faults, [], 'what was accepted is accepted again');
  assert.deepEqual(again.resource, resource, 'and stays as it is');
}

/** @returns what was accepted, or null. */
export function validateHostile(value: unknown): Resource | null {
  const { faults, resource } = validateResource(value);
  assert.equal(resource === null, faults.length > 0, 'faults, or a resource');
  for (const fault of faults) {
    assertTold(fault);
    assert.ok(isNamed(value, fault.path), `${fault.path} is nowhere: ${fault.message}`);
  }
  if (resource) assertFixedPoint(resource);
  return resource;
}

/** The path leads to something, or its last step is what is missing. Keys hold dots and brackets too. */
export function isNamed(value: unknown, path: string): boolean {
  if (path === '') return true;
  const index = /^\[(\d+)\]\.?/.exec(path);
  if (index && Array.isArray(value)) return isNamed(value[Number(index[1])], path.slice(index[0].length));
  if (isObject(value)) {
    for (const [key, child] of Object.entries(value)) {
      if (path === key) return true;
      if (!path.startsWith(key) || !/[.[]/.test(path[key.length] ?? '')) continue;
      if (isNamed(child, path.slice(key.length).replace(/^\./, ''))) return true;
    }
  }
  return /^[A-Za-z]+(\.name|\.namespace)?$/.test(path);
}

/**
 * What a node makes of it when it stands in the store under that key: nothing at all if it is invalid, save that of a
 * Kubernetes policy only the faulty rules go.
 */
export function storeHostile(key: ResourceKey, value: unknown): readonly Update[] {
  const { updates, faults } = updatesOf(key, value as Resource | null);
  const { faults: invalid } = validateResource(value);
  if (invalid.length === 0)
    assert.deepEqual(
      faults.filter(({ path }) => path === ''),
      [],
      'what is valid converts',
    );
  const survives = invalid.every(({ path }) => isRuleFault(path)) && /^(Kubernetes|Cluster)N/.test(key.kind);
  if (invalid.length > 0 && value !== null && !builtinUpdate(key)) {
    assert.ok(faults.length > 0, 'it is said that it counts as absent');
    if (!survives)
      assert.deepEqual(
        updates.filter((update) => update.value !== null),
        [],
      );
  }
  assert.deepEqual(
    updates.map(({ kind, path }) => `${kind} ${path}`),
    updatesOf(key, null).updates.map(({ kind, path }) => `${kind} ${path}`),
    'removing undoes what adding did',
  );
  return updates;
}

/** Compiled for this node and the one that it names, and written as rules: linear, and inside the grammar of nft. */
export function compileHostile(updates: readonly Update[], size: number): void {
  for (const name of new Set([node, ...updates.flatMap(nodeOf)])) {
    const messages = compileFor(name, [...builtinUpdates(), ...neighbourUpdates, ...updates]);
    const text = assertNftText(nftOperations(messages));
    assertLinear('messages', JSON.stringify(messages).length, size);
    assertLinear('rules', text.length, size);
  }
}

function nodeOf({ value }: Update): string[] {
  return value && 'node' in value ? [value.node] : [];
}

/** A selector's scope is written at each rule; a rule becomes one in each of two families and two places. */
function assertLinear(what: string, got: number, size: number): void {
  const most = 60_000 + 60 * size;
  assert.ok(got <= most, `${got} characters of ${what} from ${size} of manifest, want at most ${most}`);
}

const neighbourUpdates = neighbours.flatMap((resource) => updatesOf(keyOf(resource), resource).updates);
/** What the neighbours come to without those that stand under these paths. */
const alone = new Map<string, string>();

/** An absent one changes nothing for the others. */
export function assertUnharmed(updates: readonly Update[]): void {
  const paths = updates.map(({ path }) => path).join();
  const others = neighbourUpdates.filter(({ path }) => !paths.split(',').includes(path));
  const wanted = alone.get(paths) ?? compiledText(others);
  alone.set(paths, wanted);
  assert.ok(compiledText([...neighbourUpdates, ...updates]) === wanted, `the neighbours of ${paths} changed`);
}

function compiledText(updates: readonly Update[]): string {
  return JSON.stringify(compileFor(node, [...builtinUpdates(), ...updates]));
}

/** An address of two owners is nobody's case to decide. */
const isEndpoint = /^(Pod|WorkloadEndpoint|HostEndpoint)$/;

/** What the compiled messages say of the same packets. */
function evaluated(resource: Resource): boolean[] {
  const updates = updatesOf(keyOf(resource), resource).updates;
  const state = DataplaneState.from(compileFor(node, [...builtinUpdates(), ...neighbourUpdates, ...updates]));
  const parties = new Map<string, Party>(
    [...state.endpoints].flatMap(([id, endpoint]) =>
      endpoint.addresses.map((address) => [address, { kind: 'endpoint', state, id, address }] as const),
    ),
  );
  return packets.map(({ from, to, ...probe }) => {
    const party = (address: Address): Party => parties.get(address) ?? { kind: 'address', address };
    return explain(party(from), party(to), { ...probe, ipVersion: familyOf(from) }).allowed;
  });
}

/** The oracle reads what was accepted without any error but that it does not read HTTP. */
export function judgeHostile(resource: Resource): void {
  const path = keyPath(keyOf(resource));
  const others = neighbours.filter((each) => keyPath(keyOf(each)) !== path);
  try {
    const judge = oracleOf([...others, resource]);
    const told = packets.map((packet) => judge(packet).allowed);
    if (!isEndpoint.test(resource.kind))
      assert.deepEqual(evaluated(resource), told, 'oracle and evaluator agree');
  } catch (error) {
    if (!(error instanceof UnsupportedError) || !JSON.stringify(resource).includes('"http"')) throw error;
  }
}
