// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { labProcessProblem } from './control.ts';
import { LabLayout } from './layout.ts';

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
