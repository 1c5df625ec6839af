// SPDX-License-Identifier: Apache-2.0
import type { KeyPath } from '../lib/brand.ts';
import type { ModelKind, ModelTypes } from '../model/types.ts';

/**
 * What a path holds now and what it held when this graph last looked. The previous value is the graph's own memory, not
 * the stream's: a node can undo exactly what it did.
 */
export type Change = {
  [K in ModelKind]: {
    readonly kind: K;
    readonly path: KeyPath;
    readonly value: ModelTypes[K] | null;
    readonly previous: ModelTypes[K] | null;
  };
}[ModelKind];

/** What a drawing of the graph needs to know of a node. */
export interface NodeDescription {
  readonly name: string;
  /** The model kinds that it hears itself. */
  readonly consumes: readonly ModelKind[];
  /** Names of the nodes that it tells. */
  readonly feeds: readonly string[];
}

/** Work that may be left at any `yield` and taken up later, as long as nothing else touches the graph in between. */
export type Work<T = void> = Generator<void, T>;

/** So many steps of work, of about a microsecond each, are done between two yields. */
export const stepsPerYield = 64;

/** A vertex of the graph: synchronous, no I/O, output a function of the present state only. */
export interface CalcNode extends NodeDescription {
  /** True: of endpoints it hears only this node's; one that moved away is null. */
  readonly localEndpointsOnly: boolean;
  /** Remember it and mark what depends on it. Short, however large the cluster. */
  onChange(change: Change): void;
  /** Recompute what is marked. Called once a flush, in the graph's order. */
  flush(): Work;
}

/** The name under which others refer to what changed; of a value that went, the name that it had. */
export function nameOf(change: { readonly value: Named | null; readonly previous: Named | null }): string {
  return (change.value ?? change.previous)?.name ?? '';
}

interface Named {
  readonly name: string;
}
