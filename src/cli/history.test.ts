// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CliSession } from '../../test/support/cli-session.ts';

const tier = (order: number) =>
  `apiVersion: projectcalico.org/v3\nkind: Tier\nmetadata: {name: security}\nspec: {order: ${order}}\n`;

async function changed(session: CliSession): Promise<void> {
  await session.run(['apply', '-f', '-'], tier(100));
  await session.run(['apply', '-f', '-'], tier(200));
  await session.run(['delete', 'tier', 'security']);
}

test('history tells each change, who made it, and which fields it changed', async () => {
  using session = new CliSession();
  await changed(session);
  const { code, out } = await session.run(['history', 'tier/security']);
  assert.equal(code, 0);
  const [, created, order, deleted] = out.split('\n');
  assert.match(created ?? '', /^1 .*: muslin apply -f - +created$/);
  assert.match(order ?? '', /spec\.order: 100 -> 200$/);
  assert.match(deleted ?? '', /: muslin delete tier security +deleted$/);
});

test('get --at shows what was, by revision and by time', async () => {
  using session = new CliSession();
  await changed(session);
  const orderAt = async (at: string) =>
    (await session.run(['get', 'tier', 'security', '--at', at, '-o', 'jsonpath={.spec.order}'])).out;
  assert.equal(await orderAt('1'), '100');
  assert.equal(await orderAt('2'), '200');
  assert.equal((await session.run(['get', 'tier', 'security', '--at', '3'])).code, 3);
  assert.equal((await session.run(['get', 'tier', 'security', '--at', '1h'])).code, 3, 'before it was made');
});

const refused: readonly [readonly string[], number, RegExp][] = [
  [['get', 'tiers', '--at', 'yesterday'], 2, /--at: got "yesterday", want a revision, a time/],
  [['get', 'tiers', '--at', '99'], 6, /99 is not kept: got revision 99, want one from 0 to 3/],
  [['history', 'tier/none'], 3, /none not found, now or in what is remembered/],
  [['history', 'tiers'], 2, /want one object: KIND\/NAME/],
  [['get', 'tiers', '-f', 'x.yaml'], 2, /not both/],
];

for (const [words, code, message] of refused) {
  test(`${words.join(' ')} ends with ${code} and says why`, async () => {
    using session = new CliSession();
    await changed(session);
    const outcome = await session.run(words);
    assert.equal(outcome.code, code);
    assert.match(outcome.notes.join('\n'), message);
  });
}

test('watch tells what is there, then changes; a label that goes is a deletion to who asked for it', async () => {
  using session = new CliSession();
  await session.run(['apply', '-f', '-'], tier(100));
  const watching = session.run(['watch', 'tiers', '--timeout', '1500ms', '-o', 'ndjson', '-l', 'x!=y']);
  await new Promise((resolve) => setTimeout(resolve, 500));
  await session.run(['apply', '-f', '-'], tier(200));
  await session.run(['apply', '-f', '-'], tier(200).replace('security}', 'security, labels: {x: "y"}}'));
  const { code, out, notes } = await watching;
  assert.equal(code, 0, notes.join('\n'));
  const events = out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { type: string; object: { spec: { order: number } } });
  assert.deepEqual(
    events.map(({ type, object }) => `${type} ${object.spec.order}`),
    ['ADDED 100', 'MODIFIED 200', 'DELETED 200'],
  );
});
