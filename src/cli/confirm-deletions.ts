// SPDX-License-Identifier: Apache-2.0
/** Tells agents that what a list lacked in a mass is gone indeed. */
import type { HeldDeletion } from '../datastore/mass-deletion.ts';
import { ask } from '../lab/control.ts';
import type { WhichAgents } from './agent-options.ts';
import { agentSockets } from './agent-status.ts';
import type { Io } from './io.ts';

export type ConfirmOptions = WhichAgents;

/** @throws {UnavailableError} when an agent does not answer. */
export async function confirmDeletions(options: ConfirmOptions, io: Io): Promise<void> {
  for (const socket of agentSockets(options, io)) {
    const { body } = await ask(socket, '/confirm-deletions', 'POST');
    const { confirmed } = body as { confirmed: readonly HeldDeletion[] };
    const what = confirmed.map(({ kind, missing, of }) => `${missing} of ${of} ${kind}`).join(', ');
    io.out(`${socket}: ${what === '' ? 'nothing was held back' : `${what} may go`}\n`);
  }
}
