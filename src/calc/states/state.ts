// SPDX-License-Identifier: Apache-2.0

import type { Update } from '../../model/types.ts';

/** What a data plane would hold, in words that a person can check: sets by selector, rules and tiers as lines. */
export interface Picture {
  readonly sets?: { readonly [selector: string]: readonly string[] };
  readonly policies?: { readonly [path: string]: readonly string[] };
  readonly profiles?: { readonly [name: string]: readonly string[] };
  readonly endpoints?: { readonly [path: string]: readonly string[] };
  readonly hostEndpoints?: { readonly [path: string]: readonly string[] };
  readonly routes?: { readonly [cidr: string]: string };
}

/** What the cluster holds, and what node `local` then must hold. A part left out must be empty. */
export interface State {
  readonly name: string;
  readonly inputs: ReadonlyMap<string, Update>;
  readonly expected: Picture;
}

export function state(name: string, inputs: readonly Update[], expected: Picture): State {
  return {
    name,
    inputs: new Map(inputs.map((update) => [`${update.kind} ${update.path}`, update])),
    expected,
  };
}

export const emptyState: State = state('empty', [], {});
