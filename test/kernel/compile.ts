// SPDX-License-Identifier: Apache-2.0
/** Compiles C to a BPF object, as the build does, into a folder that is gone when this returns. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const flags = '-target bpf -O2 -g -mcpu=v3 -I/usr/include/x86_64-linux-gnu -c'.split(' ');

/** @param source - of C. @param more - flags after the usual ones. */
export function compileBpf(source: string, more: readonly string[] = []): Uint8Array {
  const directory = mkdtempSync(join(tmpdir(), 'muslin-clang-'));
  try {
    const [input, output] = [join(directory, 'source.c'), join(directory, 'object.o')];
    writeFileSync(input, source); // not by standard input: source lines would be missing from BTF
    const run = spawnSync('clang', [...flags, ...more, '-o', output, input], { encoding: 'utf8' });
    if (run.status !== 0) throw new Error(`clang: ${run.error?.message ?? run.stderr}`);
    return new Uint8Array(readFileSync(output));
  } finally {
    rmSync(directory, { recursive: true });
  }
}

let fixture: Uint8Array | null = null;

/** fixtures/object.bpf.c, compiled once in a process. */
export function fixtureObject(): Uint8Array {
  fixture ??= compileBpf(readFileSync(new URL('fixtures/object.bpf.c', import.meta.url), 'utf8'));
  return fixture;
}
