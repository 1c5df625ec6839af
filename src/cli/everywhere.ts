// SPDX-License-Identifier: Apache-2.0
/** What every command takes for the sake of calicoctl's and others' habits, and what has no effect here. */
import { type Command, Option } from 'commander';

const logLevels = ['panic', 'fatal', 'error', 'warn', 'info', 'debug'];
const why = "calicoctl's: commands keep no log";

/** To be called when all commands are there. What the program itself takes stands before and after a command's name. */
export function takeEverywhere(program: Command): void {
  program
    .addOption(new Option('--no-color', 'nothing is ever coloured').hideHelp())
    .addOption(new Option('--log-level <level>', why).choices(logLevels).hideHelp());
  for (const command of program.commands) takeLogLevel(command);
}

/** Where calicoctl's `-l` does not choose by labels. */
function takeLogLevel(command: Command): void {
  for (const inner of command.commands) takeLogLevel(inner);
  if (command.commands.length > 0 || command.options.some(({ short }) => short === '-l')) return;
  command.addOption(new Option('-l <level>', why).choices(logLevels).hideHelp());
}
