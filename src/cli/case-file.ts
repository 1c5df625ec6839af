// SPDX-License-Identifier: Apache-2.0
/**
 * Files of policy tests: documents with `manifests`, `cases` and `matrix`, and beside them, in the same file, any resources.
 *
 * Owns:       what may stand in such a document; docs/testing-policies.md shows it.
 * Takes in:   one file's name and text. Gives out: cases with the lines they stand at, or every fault with line and column.
 */
import { type Fault, InvalidError } from '../lib/errors.ts';
import { isObject } from '../model/json.ts';
import { documentsOf, Source, type YamlDocument } from '../model/manifest/documents.ts';
import { offsetOf, type Spot, spotAt } from '../model/manifest/locate.ts';
import { startOf, TreeReader } from '../model/manifest/node-value.ts';
import { JsonReader, type JsonRecord } from '../observe/json-reader.ts';

export interface CaseFile {
  readonly file: string;
  readonly manifests: readonly WrittenPath[];
  /** The file's other documents, each at its own line; empty when there is none. */
  readonly resources: string;
  readonly cases: readonly PolicyCase[];
  readonly matrices: readonly MatrixCase[];
}

export interface WrittenPath extends Placed {
  readonly path: string;
}

interface Placed {
  readonly line: number;
  readonly column: number;
}

export type Expectation = 'allow' | 'deny';

/** Which packet: as on the command line of `explain`. */
export interface CasePacket {
  readonly port?: number | string;
  readonly protocol?: number | string;
  readonly ipVersion?: 4 | 6;
}

export interface PolicyCase extends Placed, CasePacket {
  readonly name: string;
  readonly from: string;
  readonly to: string;
  readonly expect: Expectation;
  /** Policy, tier or profile that must decide. */
  readonly by?: string;
  /** The verdict with every staged policy in force. */
  readonly staged?: Expectation;
}

/** All pairs of pods: those that are named are allowed, every other is denied. */
export interface MatrixCase extends Placed, CasePacket {
  readonly name: string;
  /** Patterns; all pods unless given. */
  readonly pods: readonly string[];
  readonly allow: readonly { readonly from: string; readonly to: readonly string[] }[];
  readonly staged: boolean;
}

/** Null for a file that holds no tests. @throws {InvalidError} with every fault. */
export function readCaseFile(file: string, text: string): CaseFile | null {
  const source = new Source(file);
  const faults: Fault[] = [];
  const documents = [...documentsOf(text, source, (fault) => faults.push(fault))];
  const read = documents.map((document) => readDocument(document, source, faults));
  const tests = read.filter((each) => each !== null);
  if (tests.length === 0 && faults.length === 0) return null;
  if (faults.length > 0) throw new InvalidError(`${faults.length} faults in ${file}`, faults);
  return {
    file,
    manifests: tests.flatMap(({ manifests }) => manifests),
    resources: tests.length === documents.length ? '' : withoutTests(text, documents, read),
    cases: tests.flatMap(({ cases }) => cases),
    matrices: tests.flatMap(({ matrices }) => matrices),
  };
}

type TestDocument = Pick<CaseFile, 'manifests' | 'cases' | 'matrices'>;

/** Null for a resource, which has a `kind`, and for nothing at all. */
function readDocument(document: YamlDocument, source: Source, faults: Fault[]): TestDocument | null {
  const problem = document.errors[0];
  if (problem) {
    faults.push(source.fault('', problem.message.split('\n')[0] ?? '', problem.pos[0]));
    return null;
  }
  const tree = new TreeReader(source);
  const value = tree.read(document.contents);
  faults.push(...tree.faults);
  const isTest = isObject(value) && !('kind' in value);
  if (!isTest || tree.faults.length > 0) return null;
  const root: Spot = { key: null, value: document.contents };
  const reader = new JsonReader();
  const test = testIn(reader, value, (path) => {
    const { spot } = spotAt(tree, root, path);
    return source.place(startOf(spot.value ?? spot.key));
  });
  faults.push(
    ...reader.faults.map((fault) => source.fault(fault.path, fault.message, offsetOf(tree, root, fault))),
  );
  return test;
}

type Locate = (path: string) => Placed;

function testIn(reader: JsonReader, document: JsonRecord, placeOf: Locate): TestDocument {
  reader.refuseOthers(document, '', ['manifests', 'cases', 'matrix']);
  const records = (key: string) =>
    reader.list(document[key], key).map((each, i) => {
      const path = `${key}[${i}]`;
      return { path, fields: reader.record(each, path) };
    });
  return {
    manifests: reader.list(document.manifests, 'manifests').map((each, i) => {
      const path = `manifests[${i}]`;
      return { path: reader.text(each, path), ...placeOf(path) };
    }),
    cases: records('cases').map(({ path, fields }) => caseIn(reader, fields, path, placeOf)),
    matrices: records('matrix').map(({ path, fields }) => matrixIn(reader, fields, path, placeOf)),
  };
}

const verdicts = ['allow', 'deny'] as const;
const packetFields = ['port', 'protocol', 'ipVersion'] as const;

function caseIn(reader: JsonReader, fields: JsonRecord, path: string, placeOf: Locate): PolicyCase {
  const known = ['name', 'from', 'to', ...packetFields, 'expect', 'by', 'staged'];
  reader.refuseOthers(fields, path, known);
  const text = (key: string) => reader.text(fields[key], `${path}.${key}`);
  const [from, to] = [text('from'), text('to')];
  const packet = packetIn(reader, fields, path);
  return {
    ...placeOf(path),
    from,
    to,
    ...packet,
    expect: reader.oneOf(fields.expect, `${path}.expect`, verdicts),
    name: fields.name === undefined ? packetTitle(`${from} -> ${to}`, packet) : text('name'),
    ...reader.optional(fields, 'by', (value) => reader.text(value, `${path}.by`)),
    ...reader.optional(fields, 'staged', (value) => reader.oneOf(value, `${path}.staged`, verdicts)),
  };
}

function matrixIn(reader: JsonReader, fields: JsonRecord, path: string, placeOf: Locate): MatrixCase {
  reader.refuseOthers(fields, path, ['name', ...packetFields, 'pods', 'allow', 'staged']);
  const texts = (value: unknown, at: string) =>
    reader.list(value, at).map((each, i) => reader.text(each, `${at}[${i}]`));
  const packet = packetIn(reader, fields, path);
  const rows = Object.entries(reader.record(fields.allow, `${path}.allow`));
  return {
    ...placeOf(path),
    ...packet,
    name:
      fields.name === undefined ? packetTitle('all pairs', packet) : reader.text(fields.name, `${path}.name`),
    pods: fields.pods === undefined ? ['*'] : texts(fields.pods, `${path}.pods`),
    allow: rows.map(([from, to]) => ({ from, to: texts(to, `${path}.allow.${from}`) })),
    staged: reader.oneOf(fields.staged ?? false, `${path}.staged`, [false, true]),
  };
}

function packetIn(reader: JsonReader, fields: JsonRecord, path: string): CasePacket {
  const textOrNumber = (key: string, want: string) => (value: unknown) => {
    if (typeof value === 'string' || typeof value === 'number') return value;
    reader.fault(`${path}.${key}`, value, want);
    return 0;
  };
  return {
    ...reader.optional(fields, 'port', textOrNumber('port', "a number or a port's name")),
    ...reader.optional(fields, 'protocol', textOrNumber('protocol', 'a protocol name or number')),
    ...reader.optional(fields, 'ipVersion', (value) => reader.oneOf(value, `${path}.ipVersion`, [4, 6])),
  };
}

function packetTitle(ends: string, { port, protocol }: CasePacket): string {
  return [ends, protocol, port === undefined ? undefined : `port ${port}`]
    .filter((part) => part !== undefined)
    .join(' ');
}

/** The tests are blanked out, so that what is left stands at the lines where it was written. */
function withoutTests(
  text: string,
  documents: readonly YamlDocument[],
  read: readonly (TestDocument | null)[],
): string {
  let left = text;
  for (const [i, { contents }] of documents.entries()) {
    const range = read[i] && contents?.range;
    if (!range) continue;
    const [start, , end] = range;
    left = left.slice(0, start) + left.slice(start, end).replace(/[^\n]/g, ' ') + left.slice(end);
  }
  return left;
}
