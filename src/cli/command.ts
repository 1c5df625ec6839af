// SPDX-License-Identifier: Apache-2.0
/** What the files in commands/ share: options that mean the same everywhere, filters, results that are no errors. */
import { type Command, Option } from 'commander';
import type { Io } from './io.ts';
import type { Evaluator } from './ndjson.ts';

/** Thrown to end with a code after everything was said. */
export class Told extends Error {
  readonly exitCode: number;
  /** @param exitCode - ours (exit.ts), or that of a command which we ran for the user. */
  constructor(exitCode: number) {
    super(`exit code ${exitCode}`);
    this.exitCode = exitCode;
  }
}

const filterable = new WeakSet<Command>();

export function isFilterable(command: Command): boolean {
  return filterable.has(command);
}

/**
 * Gives `command` its action, and under `--ndjson` makes it a filter instead. Arguments must be declared before; a
 * filter needs none of them.
 *
 * @param load - imports what evaluates requests; given the command's own options.
 */
export function evaluating<Options extends object>(
  command: Command,
  io: Io,
  load: (options: Options) => Promise<Evaluator>,
  action: (options: Options, ...values: readonly string[]) => Promise<void> | void,
): Command {
  filterable.add(command);
  command.usage(command.usage());
  const required = command.registeredArguments.filter((argument) => argument.required);
  for (const argument of required) argument.required = false;
  return command.action(async () => {
    const options = command.opts<Options>();
    if (command.optsWithGlobals().ndjson === true) {
      const { filter } = await import('./ndjson.ts');
      return filter(io.stdin(), (text) => io.out(text), await load(options));
    }
    const missing = required[command.args.length];
    if (missing) command.error(`error: missing required argument '${missing.name()}'`);
    await action(options, ...command.args);
  });
}

/** For commands that print a text of their own, or JSON. */
export function jsonOption(): Option {
  return new Option('-o, --output <form>', 'for programs').choices(['json']);
}

/** The parent of `muslin policy eval` and the like; several files may add to one. */
export function group(program: Command, name: string, description: string): Command {
  return (
    program.commands.find((command) => command.name() === name) ??
    program.command(name).description(description)
  );
}

/** For commands that are announced but not built: a filter's answer, and an error for people. */
export function unsupported(command: Command, io: Io): Command {
  const answer = { unsupported: true };
  return evaluating(
    command.allowUnknownOption().allowExcessArguments(),
    io,
    async () => () => answer,
    async () => {
      const { UnsupportedError } = await import('../lib/errors.ts');
      throw new UnsupportedError(`muslin ${command.parent?.name()} ${command.name()}: not supported yet`);
    },
  );
}
