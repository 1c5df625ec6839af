// SPDX-License-Identifier: Apache-2.0
import type { Direction, ResolvedPolicy } from '../contract/dataplane.ts';

/** As FelixConfiguration's logPrefix says; without any of its signs the policy is named all the same. */
export function logPrefix(
  written: string,
  direction: Direction,
  title: string,
  policy?: Pick<ResolvedPolicy, 'tier' | 'kind' | 'name'>,
): string {
  if (!/%[tknp]/.test(written)) return `${written} ${direction} ${title}`;
  const signs: { readonly [sign: string]: string } = {
    '%t': policy?.tier ?? '',
    '%k': policy?.kind ?? 'Profile',
    '%n': policy?.name ?? title,
    '%p': title,
  };
  return written.replace(/%[tknp]/g, (sign) => signs[sign] ?? sign);
}
