// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { InvalidError } from '../lib/errors.ts';
import { labProcessProblem, startLab, stopLab } from './control.ts';
import { LabLayout } from './layout.ts';
import { labSpec } from './spec.ts';
import { claimStart } from './start-claim.ts';

test('the process of a lab is well when it answers, whatever it says, and gone when nobody listens', async () => {
  const layout = new LabLayout(mkdtempSync(join(tmpdir(), 'muslin-control-')));
  try {
    assert.match((await labProcessProblem(layout)) ?? '', /process of the lab is gone.*muslin lab down/);
    const server = createServer((_, response) => response.writeHead(404).end());
    await new Promise<void>((resolve) => server.listen(layout.daemonSocket, resolve));
    assert.equal(await labProcessProblem(layout), null);
    await new Promise((resolve) => server.close(resolve));
  } finally {
    rmSync(layout.folder, { recursive: true });
  }
});

test('a folder too deep for sockets is refused before anything is made', async () => {
  const layout = new LabLayout(join(tmpdir(), 'x'.repeat(100)));
  await assert.rejects(startLab(layout, labSpec(['node1'], [])), /too long for Unix sockets.*--lab/);
  assert.equal(existsSync(layout.folder), false);
});

test("a folder with someone's files is no lab's: neither up nor down touches it", async () => {
  const layout = new LabLayout(mkdtempSync(join(tmpdir(), 'muslin-control-')));
  const thesis = join(layout.folder, 'thesis.tex');
  writeFileSync(thesis, 'years of work');
  try {
    await assert.rejects(stopLab(layout), InvalidError);
    await assert.rejects(startLab(layout, labSpec(['node1'], [])), InvalidError);
    assert.ok(existsSync(thesis));
  } finally {
    rmSync(layout.folder, { recursive: true });
  }
});

test('a lab on etcd without the program is refused before anything is made, and says what is wanted', async () => {
  const layout = new LabLayout(join(tmpdir(), 'muslin-no-etcd'));
  const { PATH } = process.env;
  process.env.PATH = '/nowhere';
  try {
    const spec = labSpec(['node1'], [], 'nftables', 'etcd');
    await assert.rejects(startLab(layout, spec), /etcd, which is not on PATH: want/);
    assert.equal(existsSync(layout.folder), false);
  } finally {
    process.env.PATH = PATH;
  }
});

test('a lab that is being started is not started by another until that is over', async () => {
  const layout = new LabLayout(join(tmpdir(), 'muslin-claimed'));
  const spec = labSpec(['node1'], []);
  {
    await using _ = await claimStart(layout);
    await assert.rejects(startLab(layout, spec), /is being started in .* already/);
    assert.equal(existsSync(layout.folder), false);
  }
  await using _ = await claimStart(layout);
});

test('a folder that cannot be made is named', async () => {
  const layout = new LabLayout('/sys/muslin');
  await assert.rejects(
    startLab(layout, labSpec(['node1'], [])),
    /cannot make lab folder \/sys\/muslin: E[A-Z]+: want/,
  );
});
