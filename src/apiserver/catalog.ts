// SPDX-License-Identifier: Apache-2.0
/** The resources that are served now: those built in, and those of the stored definitions. */
import type { ServedResource } from './objects/served-resource.ts';

export interface ServedGroup {
  readonly group: string;
  /** The preferred one first. */
  readonly versions: readonly string[];
}

export class Catalog {
  readonly #builtin: readonly ServedResource[];
  readonly #builtinGroups: ReadonlySet<string>;
  readonly #custom = new Map<string, readonly ServedResource[]>();
  readonly #mourners = new Map<string, Set<() => void>>();
  #byPath = new Map<string, ServedResource>();
  #generation = 0;

  constructor(builtin: readonly ServedResource[]) {
    this.#builtin = builtin;
    this.#builtinGroups = new Set(builtin.map(({ group }) => group));
    this.#index();
  }

  /** Rises with every change of what is served. */
  get generation(): number {
    return this.#generation;
  }

  get all(): readonly ServedResource[] {
    return [...this.#builtin, ...[...this.#custom.values()].flat()];
  }

  find(group: string, version: string, plural: string): ServedResource | null {
    return this.#byPath.get(`${group}/${version}/${plural}`) ?? null;
  }

  /** Any version of it. */
  findAny(group: string, plural: string): ServedResource | null {
    return this.all.find((resource) => resource.group === group && resource.plural === plural) ?? null;
  }

  isBuiltinGroup(group: string): boolean {
    return this.#builtinGroups.has(group);
  }

  /** Without the core, built-in ones first. */
  groups(): readonly ServedGroup[] {
    const versions = new Map<string, Set<string>>();
    for (const { group, version } of this.all) {
      if (group !== '') versions.set(group, (versions.get(group) ?? new Set()).add(version));
    }
    return [...versions].map(([group, found]) => ({ group, versions: [...found].sort(byPriority) }));
  }

  resourcesOf(group: string, version: string): readonly ServedResource[] {
    return this.all.filter((resource) => resource.group === group && resource.version === version);
  }

  /** @param definition - its name; nothing served takes its resources away */
  serve(definition: string, resources: readonly ServedResource[]): void {
    if (resources.length > 0) this.#custom.set(definition, resources);
    else this.#custom.delete(definition);
    this.#index();
  }

  /** Tells when it is served no more. @returns what ends that */
  onGone(resource: ServedResource, tell: () => void): () => void {
    const key = pathOf(resource);
    const waiting = this.#mourners.get(key) ?? new Set();
    this.#mourners.set(key, waiting.add(tell));
    return () => waiting.delete(tell);
  }

  #index(): void {
    this.#generation++;
    const before = this.#byPath;
    this.#byPath = new Map(this.all.map((resource) => [pathOf(resource), resource]));
    for (const key of before.keys()) if (!this.#byPath.has(key)) this.#mourn(key);
  }

  #mourn(key: string): void {
    const waiting = [...(this.#mourners.get(key) ?? [])];
    this.#mourners.delete(key);
    for (const tell of waiting) tell();
  }
}

function pathOf({ group, version, plural }: ServedResource): string {
  return `${group}/${version}/${plural}`;
}

/** Stable before beta before alpha, higher before lower (k8s.io/apimachinery/pkg/version, CompareKubeAwareVersionStrings). */
export function byPriority(a: string, b: string): number {
  const [rankOfA, majorOfA, minorOfA] = rankOf(a);
  const [rankOfB, majorOfB, minorOfB] = rankOf(b);
  return rankOfB - rankOfA || majorOfB - majorOfA || minorOfB - minorOfA || (a < b ? -1 : 1);
}

function rankOf(version: string): readonly [number, number, number] {
  const match = /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(version);
  if (!match) return [0, 0, 0];
  const rank = match[2] === 'alpha' ? 1 : match[2] === 'beta' ? 2 : 3;
  return [rank, Number(match[1]), Number(match[3] ?? 0)];
}
