// SPDX-License-Identifier: Apache-2.0
/** What every table of figures says of where it was made. */
import { execFileSync } from 'node:child_process';
import { cpus, release, totalmem } from 'node:os';

export function machineLine(): string {
  const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();
  const memory = `${Math.round(totalmem() / 2 ** 30)} GiB`;
  const processor = cpus()[0]?.model.trim() ?? 'unknown processor';
  return `${cpus().length} x ${processor}, ${memory}, kernel ${release()}, Node ${process.versions.node}, commit ${commit}`;
}

export function median(values: readonly number[]): number {
  return percentile(values, 50);
}

/** @param p - 0 to 100; the nearest rank. */
export function percentile(values: readonly number[], p: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return (
    sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil((p / 100) * sorted.length) - 1))] ?? Number.NaN
  );
}

export function printTable(title: string, rows: readonly (readonly (string | number)[])[]): void {
  console.log(`\n## ${title}\n\n${machineLine()}\n`);
  const text = rows.map((row) => row.map((cell) => (typeof cell === 'number' ? cell.toFixed(2) : cell)));
  const widths = text.reduce<number[]>(
    (all, row) => row.map((cell, i) => Math.max(all[i] ?? 0, cell.length)),
    [],
  );
  const line = (row: readonly string[]) =>
    `| ${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(' | ')} |`;
  for (const [i, row] of text.entries()) {
    console.log(line(row));
    if (i === 0) console.log(line(widths.map((width) => '-'.repeat(width))));
  }
}
