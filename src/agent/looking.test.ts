// SPDX-License-Identifier: Apache-2.0
/** The agent's socket about the data plane's inside; what commands make of it: cli/ebpf.test.ts. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { FakeAgent } from '../../test/support/fake-agent.ts';
import { flowRecord } from '../../test/support/flows.ts';
import { InvalidError, NotFoundError } from '../lib/errors.ts';
import { inspectionOf } from './inspection-query.ts';

const asked = (path: string) => inspectionOf(new URL(path, 'http://agent'));

test('a path is a question; what it may not ask is named', () => {
  assert.deepEqual(asked('/ebpf/links'), { kind: 'links' });
  assert.deepEqual(asked('/ebpf/routes?address=FD00::0:1&limit=7'), {
    kind: 'routes',
    address: 'fd00::1',
    limit: 7,
  });
  assert.throws(() => asked('/ebpf/maps'), { name: NotFoundError.name, message: /want .*conntrack, nat/ });
  assert.throws(() => asked('/ebpf/links?limit=1'), {
    name: InvalidError.name,
    message: /got parameter limit/,
  });
  for (const limit of ['0', '-1', '1e3', '1000001', '']) {
    assert.throws(() => asked(`/ebpf/nat?limit=${limit}`), InvalidError, limit);
  }
  assert.throws(() => asked('/ebpf/policy'), /endpoint: got nothing/);
  assert.throws(() => asked('/ebpf/policy?endpoint=a&family=5'), /family: got "5", want 4 or 6/);
  assert.throws(() => asked('/ebpf/ipset'), /id: got nothing/);
});

test('a follower that does not read loses records and is told how many; the agent keeps no more than a few megabytes', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'muslin-looking-'));
  await using agent = await FakeAgent.open(join(folder, 's'), 'n1', () => ({ kind: 'links', links: [] }));
  const reader = connect(agent.socket).pause();
  reader.write('GET /flows?follow=1 HTTP/1.0\r\n\r\n'); // without chunks: lines follow the head
  await agent.untilFollowed(1);
  const batches = 60;
  for (let i = 0; i < batches; i++) agent.tell(Array.from({ length: 500 }, () => flowRecord({ timeMs: i })));
  assert.ok(agent.unsentBytes() < 6_000_000, String(agent.unsentBytes()));
  let text = '';
  reader.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  reader.resume();
  while (agent.unsentBytes() > 0) await new Promise((resolve) => setTimeout(resolve, 2));
  agent.tell([flowRecord({ timeMs: -1 })]);
  agent.endStreams();
  await new Promise((resolve) => reader.once('close', resolve));
  const lines = text
    .slice(text.indexOf('\r\n\r\n') + 4)
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  const lost = lines.filter((line) => 'lost' in line);
  assert.equal(lost.length, 1);
  assert.equal(lines.length - 1 + lost[0].lost, batches * 500 + 1);
  assert.deepEqual([lines.at(-1).timeMs, lines.at(-2).lost > 0], [-1, true]);
  rmSync(folder, { recursive: true });
});
