// SPDX-License-Identifier: Apache-2.0
/** Columns for people: padded with blanks, the last one ragged, as kubectl prints them. */

import { printable } from './exit.ts';

export function tableText(written: readonly (readonly string[])[]): string {
  const rows = written.map((row) => row.map(printable));
  const widths: number[] = [];
  for (const row of rows)
    for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, [...cell].length);
  const line = (row: readonly string[]) =>
    row
      .map((cell, i) =>
        i === row.length - 1 ? cell : cell + ' '.repeat((widths[i] ?? 0) - [...cell].length + 3),
      )
      .join('')
      .trimEnd();
  return rows.map((row) => `${line(row)}\n`).join('');
}
