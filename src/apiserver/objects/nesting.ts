// SPDX-License-Identifier: Apache-2.0
/** Values nested so deep that reading them could end the process: what follows recurses by level. */
import type { Json } from '../../model/types.ts';
import { ApiError } from './api-error.ts';

/** A definition of a kind that holds pod templates has about a hundred levels. */
const maxLevels = 1000;

/** @throws {ApiError} 400 */
export function checkNesting(value: Json): void {
  const open: { readonly value: Json; readonly level: number }[] = [{ value, level: 0 }];
  for (let next = open.pop(); next; next = open.pop()) {
    if (typeof next.value !== 'object' || next.value === null) continue;
    if (next.level >= maxLevels)
      throw new ApiError(400, 'BadRequest', `nested too deep: want at most ${maxLevels} levels`);
    for (const inner of Object.values(next.value)) open.push({ value: inner, level: next.level + 1 });
  }
}
