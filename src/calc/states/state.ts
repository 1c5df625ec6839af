// SPDX-License-Identifier: Apache-2.0

import type { Picture } from '../../../test/support/mock-dataplane.ts';
import type { Update } from '../../model/types.ts';

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
