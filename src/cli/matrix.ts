// SPDX-License-Identifier: Apache-2.0
/** Who reaches whom as a square: sources down, destinations across, a legend for what the letters stand for. */
import { tableText } from './table.ts';

/** What stands in one field. */
export type Field = 'yes' | 'no' | 'differs-yes' | 'differs-no' | 'same' | 'none';

const letters: { readonly [F in Field]: string } = {
  yes: '+',
  no: '.',
  'differs-yes': '+!',
  'differs-no': '.!',
  same: '-',
  none: '?',
};

/** Destinations are numbered, as their names are too long to stand across. */
export function matrixText(names: readonly string[], field: (from: number, to: number) => Field): string {
  const header = ['', 'FROM', ...names.map((_, i) => String(i + 1))];
  const used = new Set<Field>();
  const rows = names.map((name, from) => {
    const cells = names.map((_, to) => {
      const value = field(from, to);
      used.add(value);
      return letters[value];
    });
    return [String(from + 1), name, ...cells];
  });
  return `${tableText([header, ...rows])}${legend(used)}\n`;
}

function legend(used: ReadonlySet<Field>): string {
  const meanings: { readonly [F in Field]: string } = {
    yes: '+ reached',
    no: '. not reached',
    'differs-yes': '+! reached, though policy denies it',
    'differs-no': '.! not reached, though policy allows it',
    same: '- itself',
    none: '? not probed',
  };
  return (Object.keys(meanings) as Field[])
    .filter((field) => used.has(field))
    .map((field) => meanings[field])
    .join('   ');
}
