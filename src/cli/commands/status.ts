// SPDX-License-Identifier: Apache-2.0
/** `muslin status`: what an agent has in force, and which settings hold there. */
import type { Command } from 'commander';
import { jsonOption, Told } from '../command.ts';
import { exitCodes } from '../exit.ts';
import type { Io } from '../io.ts';

interface StatusOptions {
  readonly socket?: string;
  readonly node?: string;
  readonly lab?: string;
  readonly output?: string;
}

export function register(program: Command, io: Io): void {
  program
    .command('status')
    .description("show what a node's agent has in force, and its settings")
    .option(
      '--socket <path>',
      "the agent's; else those of the running lab's nodes, else /run/muslin/agent.sock",
    )
    .option('--node <name>', 'one node of the lab')
    .option('--lab <folder>', 'the lab; else MUSLIN_LAB or .lab in the clone')
    .addOption(jsonOption())
    .action((options: StatusOptions) => showStatus(options, io));
}

async function showStatus(options: StatusOptions, io: Io): Promise<void> {
  const { agentReports, agentSockets, agentText } = await import('../agent-status.ts');
  const reports = await agentReports(agentSockets(options, io));
  if (options.output === 'json') io.out(`${JSON.stringify(reports, null, 2)}\n`);
  else io.out(reports.map(agentText).join('\n'));
  if (!reports.every((report) => report.ready)) throw new Told(exitCodes.problems);
}
