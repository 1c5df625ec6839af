// SPDX-License-Identifier: Apache-2.0
/** `muslin status`: what an agent has in force, and which settings hold there. */
import type { Command } from 'commander';
import { type AgentOptions, whichAgents } from '../agent-options.ts';
import { jsonOption, Told } from '../command.ts';
import { exitCodes } from '../exit.ts';
import type { Io } from '../io.ts';

export function register(program: Command, io: Io): void {
  whichAgents(
    program.command('status').description("show what a node's agent has in force, and its settings"),
  )
    .addOption(jsonOption())
    .action((options: AgentOptions) => showStatus(options, io));
}

async function showStatus(options: AgentOptions, io: Io): Promise<void> {
  const { agentReports, agentSockets, agentText } = await import('../agent-status.ts');
  const reports = await agentReports(agentSockets(options, io));
  if (options.output === 'json') io.out(`${JSON.stringify(reports, null, 2)}\n`);
  else io.out(reports.map(agentText).join('\n'));
  if (!reports.every((report) => report.ready)) throw new Told(exitCodes.problems);
}
