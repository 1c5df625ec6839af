// SPDX-License-Identifier: Apache-2.0
/** What the user's own command makes of a hostile manifest. */
import assert from 'node:assert/strict';
import { CliSession, type Outcome } from '../support/cli-session.ts';

/** No step may depend on the clock; this only ends what would never end. */
export const neverEnds = { timeout: 120_000 };

export async function applied(text: string): Promise<Outcome & { stored: string }> {
  using cli = new CliSession();
  const outcome = await cli.run(['apply', '-f', '-'], text);
  const { out: stored } = await cli.run(['get', 'tiers,gnp,gns', '-o', 'json']);
  return { ...outcome, stored };
}

/** Refused, with one fault that says so, and nothing stored. */
export async function refused(text: string, fault: RegExp): Promise<void> {
  const { code, out, notes } = await applied(text);
  assert.equal(code, 5, `${notes.join().slice(0, 500)}`);
  assert.equal(out, '');
  assert.match(notes.join('\n'), fault);
  assert.ok(notes.join('\n').length < 4000, 'said in few words');
}
