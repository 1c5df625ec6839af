// SPDX-License-Identifier: Apache-2.0
/** `muslin flows`: new flows, dropped packets and Log rules, as the data plane tells of them. */
import type { Command } from 'commander';
import { agentOptions } from '../agent-options.ts';
import type { FlowOptions } from '../flow-output.ts';
import type { Io } from '../io.ts';

export function register(program: Command, io: Io): void {
  agentOptions(
    program
      .command('flows')
      .description('show new flows, dropped packets and Log rules: who, to whom, by which rule')
      .option('-f, --follow', 'what comes from now on, until interrupted')
      .option('--per <time>', 'count what differs in source port alone, for each 15s, 1m, ...')
      .option('--denied', 'what was dropped alone')
      .option(
        '--endpoint <name>',
        'namespace/pod, a host endpoint, or the name alone: at either end or asked on the way',
      )
      .option('--address <address>', 'of either end, before or after translation')
      .option(
        '--limit <count>',
        'the last so many of each node; else 1000, and it is said how many were left out',
      ),
  ).action((options: FlowOptions) => showFlows(options, io));
}

async function showFlows(options: FlowOptions, io: Io): Promise<void> {
  const { agentSockets } = await import('../agent-status.ts');
  const { flowQuestion, printFlows } = await import('../flow-output.ts');
  const { followFlows } = await import('../flow-follower.ts');
  const question = flowQuestion(options);
  const sockets = agentSockets(options, io);
  if (options.follow) return followFlows(sockets, question, io);
  await printFlows(sockets, question, io);
}
