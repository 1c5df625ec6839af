// SPDX-License-Identifier: Apache-2.0
/** Family 4 or 6 as the kernel numbers them. */
import type { Family } from '../../lib/address.ts';
import { AF_INET, AF_INET6 } from '../sys/constants.ts';

export function afOf(family: Family): number {
  return family === 4 ? AF_INET : AF_INET6;
}

/** Null for what is not IP. */
export function familyOfAf(af: number): Family | null {
  return af === AF_INET ? 4 : af === AF_INET6 ? 6 : null;
}
