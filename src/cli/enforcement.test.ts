// SPDX-License-Identifier: Apache-2.0
/** Against a lab of sockets only: what its daemon and agents would answer. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { dirname } from 'node:path';
import { test } from 'node:test';
import { CliSession, type Outcome } from '../../test/support/cli-session.ts';
import { LabLayout } from '../lab/layout.ts';
import { labSpec, numberedNodes } from '../lab/spec.ts';

const namespace = 'apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n';

/** @param reasons - of each node: null when it enforces what was written. */
async function applyInLab(
  reasons: readonly (string | null)[],
  args: readonly string[] = [],
  settled = true,
): Promise<Outcome> {
  using cli = new CliSession();
  const layout = new LabLayout(`${cli.folder}/lab`);
  const names = numberedNodes(reasons.length);
  mkdirSync(dirname(layout.datastore), { recursive: true });
  writeFileSync(layout.specFile, JSON.stringify(labSpec(names, [])));
  const servers = [
    await answering(layout.daemonSocket, settled ? 200 : 503, { revision: settled ? '5' : null }),
  ];
  for (const [i, name] of names.entries()) {
    mkdirSync(layout.nodeFolder(name), { recursive: true });
    const reason = reasons[i] ?? null;
    const socket = layout.agentSocket(name);
    servers.push(
      await (reason === null ? answering(socket, 204) : answering(socket, 503, { reasons: [reason] })),
    );
  }
  try {
    return await cli.run(['apply', '-f', '-', '--lab', layout.folder, ...args], namespace);
  } finally {
    for (const server of servers) server.close();
  }
}

function answering(socket: string, status: number, body?: object): Promise<Server> {
  const server = createServer((_, response) => {
    response.writeHead(status, { connection: 'close' }).end(body && JSON.stringify(body));
  });
  return new Promise((resolve) => server.listen(socket, () => resolve(server)));
}

test('in a lab apply waits until every node enforces it', async () => {
  const { code, out, notes } = await applyInLab([null, null, null]);
  assert.deepEqual([code, out], [0, 'namespace/a created\n']);
  assert.match(notes.join('\n'), /^enforced on 3 of 3 nodes in \d+ ms$/);
});

test('nodes that do not follow are named with their reasons', async () => {
  const some = await applyInLab([null, 'kernel says no']);
  assert.equal(some.code, 7);
  assert.equal(some.out, 'namespace/a created\n', 'it is written all the same');
  assert.match(
    some.notes.join('\n'),
    /^node2 does not enforce it yet: kernel says no\nenforced on 1 of 2 nodes/,
  );
  assert.equal((await applyInLab(['slow'])).code, 9);
});

test('pods that were not made in time are not passed over', async () => {
  const { code, notes } = await applyInLab([null], [], false);
  assert.equal(code, 7);
  assert.match(notes[0] ?? '', /^lab does not enforce it yet: pods were not made in time/);
});

test('--no-wait asks nobody', async () => {
  assert.deepEqual(await applyInLab(['slow'], ['--no-wait']), {
    code: 0,
    out: 'namespace/a created\n',
    notes: [],
  });
});

test('a part of a millisecond is waited whole: timers take whole ones', async () => {
  const asked: string[] = [];
  using cli = new CliSession();
  const layout = new LabLayout(`${cli.folder}/lab`);
  mkdirSync(dirname(layout.datastore), { recursive: true });
  mkdirSync(layout.nodeFolder('node1'), { recursive: true });
  writeFileSync(layout.specFile, JSON.stringify(labSpec(['node1'], [])));
  const open = (socket: string, status: number, body: string) => {
    const server = createServer((request, response) => {
      asked.push(request.url ?? '');
      response.writeHead(status, { connection: 'close' }).end(body);
    });
    return new Promise<Server>((resolve) => server.listen(socket, () => resolve(server)));
  };
  const daemon = await open(layout.daemonSocket, 200, '{"revision": "1"}');
  const agent = await open(layout.agentSocket('node1'), 204, '');
  const words = ['apply', '-f', '-', '--lab', layout.folder, '--timeout', '100.5ms'];
  const { code, notes } = await cli.run(words, namespace);
  daemon.close();
  agent.close();
  assert.equal(code, 0, notes.join());
  assert.deepEqual(
    asked.map((url) => /timeoutMs=([^&]*)/.exec(url)?.[1]),
    ['101', '101'],
  );
});
