// SPDX-License-Identifier: Apache-2.0
/**
 * Manifests: text of YAML or JSON to resources that are valid and complete, or to faults that name line and column.
 *
 * Owns:       how text is read (as Kubernetes reads it: manifest/scalars.ts), lists of resources, where each thing stood.
 * Takes in:   one file's name and text, of one or more documents. Gives out: every resource that is valid, with its
 *             defaults and the `muslin.dev/origin` annotation; every fault of all others.
 * Invariants: never throws, whatever the text; bounded in time and memory; a document with a fault does not hide the
 *             next one.
 * Next:       manifest/documents.ts (text to trees), manifest/node-value.ts (trees to values), manifest/locate.ts
 *             (paths to places), validate/resource.ts (what a resource may be).
 */
import { isSeq, type Node } from 'yaml';
import type { Fault } from '../lib/errors.ts';
import { isObject, listAt, member, textAt } from './json.ts';
import { kinds } from './kinds.ts';
import { documentsOf, Source, type YamlDocument } from './manifest/documents.ts';
import { offsetOf, type Spot, spotAt } from './manifest/locate.ts';
import { startOf, TreeReader } from './manifest/node-value.ts';
import { originAnnotation, type Resource } from './types.ts';
import { type ValidateOptions, validateResource } from './validate/resource.ts';

export interface ManifestEntry {
  readonly resource: Resource;
  readonly origin: { readonly file: string; readonly line: number };
}

export interface Manifest {
  readonly resources: readonly ManifestEntry[];
  readonly faults: readonly Fault[];
  /** Only where they are to be skipped; else they are faults. */
  readonly skipped: readonly SkippedObject[];
}

/** An object of a kind that Muslin does not read, for instance a Deployment. */
export interface SkippedObject {
  readonly kind: string;
  readonly name: string;
  readonly file: string;
  readonly line: number;
}

export interface ManifestReading extends ValidateOptions {
  /** Objects of kinds that are not read are no faults. @defaultValue false */
  readonly skipUnsupported?: boolean;
}

/** Lists in lists: kubectl reads them too. */
const maxListDepth = 8;
/** The YAML library quotes a tag whole. */
const maxProblemLength = 200;

/** @param file - as faults and origins name it. */
export function readManifest(file: string, text: string, options: ManifestReading = {}): Manifest {
  const reader = new ManifestReader(file, options);
  reader.read(text.startsWith('\uFEFF') ? text.slice(1) : text);
  return reader;
}

/** One object of a document: the document itself, or an item of a list in it. */
interface Item {
  readonly value: unknown;
  readonly spot: Spot;
}

class ManifestReader implements Manifest {
  readonly resources: ManifestEntry[] = [];
  readonly faults: Fault[] = [];
  readonly skipped: SkippedObject[] = [];
  readonly #source: Source;
  readonly #options: ManifestReading;

  constructor(file: string, options: ManifestReading) {
    this.#source = new Source(file);
    this.#options = options;
  }

  read(text: string): void {
    const documents = documentsOf(text, this.#source, (fault) => this.faults.push(fault));
    for (const document of documents) this.#document(document);
  }

  #document(document: YamlDocument): void {
    const problems = [
      ...document.errors,
      ...document.warnings.filter(({ code }) => code !== 'BAD_DIRECTIVE'),
    ];
    for (const problem of problems) {
      const message = problem.message.split('\n')[0]?.slice(0, maxProblemLength) ?? '';
      this.faults.push(this.#source.fault('', message, problem.pos[0]));
    }
    if (problems.length > 0) return;
    const tree = new TreeReader(this.#source);
    const value = tree.read(document.contents);
    for (const fault of tree.faults) this.faults.push(fault);
    if (tree.faults.length > 0 || value === null || value === undefined) return;
    this.#item(tree, { value, spot: { key: null, value: document.contents } }, 0);
  }

  #item(tree: TreeReader, item: Item, depth: number): void {
    const kind = textAt(item.value, 'kind');
    const isList =
      kind === 'List' || (kind.endsWith('List') && isObject(item.value) && 'items' in item.value);
    if (isList && depth < maxListDepth) this.#list(tree, item, kind, depth);
    else this.#resource(tree, item);
  }

  /** Items of a typed list, `NetworkPolicyList`, may leave out what the list's name says. */
  #list(tree: TreeReader, list: Item, kind: string, depth: number): void {
    const items = member(list.value, 'items') ?? [];
    if (!Array.isArray(items)) {
      const fault = { path: 'items', message: 'want a list' };
      this.faults.push(this.#source.fault(fault.path, fault.message, offsetOf(tree, list.spot, fault)));
      return;
    }
    const implied =
      kind === 'List'
        ? {}
        : { apiVersion: textAt(list.value, 'apiVersion'), kind: kind.slice(0, -'List'.length) };
    for (const [i, value] of items.entries()) {
      const { spot } = spotAt(tree, list.spot, `items[${i}]`);
      this.#item(tree, { value: isObject(value) ? { ...implied, ...value } : value, spot }, depth + 1);
    }
  }

  #resource(tree: TreeReader, { value, spot }: Item): void {
    if (this.#options.skipUnsupported === true && isUnsupported(value)) {
      const { file } = this.#source;
      const { line } = this.#source.place(startOf(spot.value));
      this.skipped.push({ kind: textAt(value, 'kind'), name: textAt(value, 'metadata', 'name'), file, line });
      return;
    }
    const { faults, resource } = validateResource(value, this.#options);
    for (const fault of faults) {
      this.faults.push(this.#source.fault(fault.path, fault.message, offsetOf(tree, spot, fault)));
    }
    if (!resource) return;
    const { file } = this.#source;
    const { line } = this.#source.place(startOf(spot.value));
    const origin = { file, line, ...this.#ruleLines(tree, spot, resource) };
    const annotations = { ...resource.metadata.annotations, [originAnnotation]: JSON.stringify(origin) };
    const stamped = { ...resource, metadata: { ...resource.metadata, annotations } };
    this.resources.push({ resource: stamped, origin: { file, line } });
  }

  /** Of policies and profiles: the line at which each rule begins. */
  #ruleLines(
    tree: TreeReader,
    spot: Spot,
    resource: Resource,
  ): { rules?: { [direction: string]: number[] } } {
    if (!/(Policy|Profile)$/.test(resource.kind)) return {};
    const rules: { [direction: string]: number[] } = {};
    for (const direction of ['ingress', 'egress']) {
      const list = tree.resolved(spotAt(tree, spot, `spec.${direction}`).spot.value);
      const written = listAt(resource, 'spec', direction);
      if (!isSeq(list) || list.items.length !== written.length || written.length === 0) continue;
      rules[direction] = list.items.map((item) => this.#lineOf(tree, item as Node | null));
    }
    return { rules };
  }

  #lineOf(tree: TreeReader, node: Node | null): number {
    return this.#source.place(startOf(tree.resolved(node))).line;
  }
}

/** A kind of which we read no version: a known kind with a strange apiVersion is more likely a slip. */
function isUnsupported(value: unknown): boolean {
  const kind = textAt(value, 'kind');
  return kind !== '' && textAt(value, 'apiVersion') !== '' && kinds.every((row) => row.writtenKind !== kind);
}
