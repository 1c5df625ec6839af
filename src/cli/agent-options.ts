// SPDX-License-Identifier: Apache-2.0
/** Of every command that asks running agents: which, and how their answers are printed. */
import { type Command, Option } from 'commander';

export interface WhichAgents {
  readonly socket?: string;
  readonly node?: string;
  readonly lab?: string;
}

export interface AgentOptions extends WhichAgents {
  readonly output?: string;
}

export function whichAgents(command: Command): Command {
  return command
    .option(
      '--socket <path>',
      "the agent's; else those of the running lab's nodes, else /run/muslin/agent.sock",
    )
    .option('--node <name>', 'one node of the lab')
    .option('--lab <folder>', 'the lab; else MUSLIN_LAB or .lab in the clone');
}

export function agentOptions(command: Command): Command {
  return whichAgents(command).addOption(
    new Option('-o, --output <form>', 'more columns, or for programs').choices(['wide', 'json', 'yaml']),
  );
}
