// SPDX-License-Identifier: Apache-2.0
/** Who reaches whom as a square: sources down, destinations across by number, what was measured beside what is said. */

/** What stands in one field: reached or not, the source itself, or nothing known. */
export type Field = 'yes' | 'no' | 'same' | 'none';

export interface Square {
  readonly title: string;
  field(from: number, to: number): Field;
}

const letters: { readonly [F in Field]: string } = { yes: '+', no: '.', same: '-', none: '?' };
const meanings: { readonly [F in Field]: string } = {
  yes: '+ reached',
  no: '. not reached',
  same: '- itself',
  none: '? not probed',
};

/** With two squares, fields of the first that differ from the second are marked. */
export function matrixText(names: readonly string[], squares: readonly Square[]): string {
  const width = Math.max(...names.map((name) => name.length), 4);
  const cell = Math.max(2, String(names.length).length) + 1;
  const across = names.map((_, i) => String(i + 1).padStart(cell)).join('');
  const header = [`${''.padStart(4)} ${'FROM'.padEnd(width)}`, ...squares.map(() => across)].join('  ');
  const titles = [
    ''.padEnd(width + 5),
    ...squares.map(({ title }) => ` ${title}`.padEnd(across.length)),
  ].join('  ');
  const rows = names.map((name, from) => {
    const blocks = squares.map((_, i) =>
      names.map((__, to) => fieldText(squares, i, from, to).padStart(cell)).join(''),
    );
    return [`${String(from + 1).padStart(4)} ${name.padEnd(width)}`, ...blocks].join('  ').trimEnd();
  });
  return `${[titles.trimEnd(), header, ...rows, legend(names, squares)].join('\n')}\n`;
}

function fieldText(squares: readonly Square[], index: number, from: number, to: number): string {
  const letter = letters[squares[index]?.field(from, to) ?? 'none'];
  return index === 0 && differs(squares, from, to) ? `!${letter}` : letter;
}

function differs([measured, said]: readonly Square[], from: number, to: number): boolean {
  return measured !== undefined && said !== undefined && measured.field(from, to) !== said.field(from, to);
}

function legend(names: readonly string[], squares: readonly Square[]): string {
  const used = new Set<Field>();
  let anyDiffers = false;
  for (const from of names.keys()) {
    for (const to of names.keys()) {
      for (const square of squares) used.add(square.field(from, to));
      anyDiffers ||= differs(squares, from, to);
    }
  }
  const parts = (Object.keys(meanings) as Field[])
    .filter((field) => used.has(field))
    .map((field) => meanings[field]);
  return [...parts, ...(anyDiffers ? ['! differs from what the policy says'] : [])].join('   ');
}
