// SPDX-License-Identifier: Apache-2.0
/**
 * The `muslin` command.
 *
 * Owns:       the list of commands, the global options, the way from an error to an exit code.
 * Takes in:   arguments, and an Io: streams and environment. Gives out: the exit code; `run` never ends the process.
 * Invariants: a command's file is cheap to load: what it works with is imported inside its action, so that
 *             `muslin --version` does not pay for a datastore. Standard output carries results, everything else stderr.
 * Next:       command.ts for what commands share, commands/apply.ts as an example, exit.ts for the codes.
 */
import { Command, CommanderError } from 'commander';
import manifest from '../../package.json' with { type: 'json' };
import { UsageError } from '../lib/errors.ts';
import { isFilterable, Told } from './command.ts';
import { register as agent } from './commands/agent.ts';
import { register as announced } from './commands/announced.ts';
import { register as apiserver } from './commands/apiserver.ts';
import { register as apply } from './commands/apply.ts';
import { register as cluster } from './commands/cluster.ts';
import { register as completion } from './commands/completion.ts';
import { register as config } from './commands/config.ts';
import { register as convert } from './commands/convert.ts';
import { register as create } from './commands/create.ts';
import { register as datastore } from './commands/datastore.ts';
import { register as remove } from './commands/delete.ts';
import { register as diff } from './commands/diff.ts';
import { register as doctor } from './commands/doctor.ts';
import { register as ebpf } from './commands/ebpf.ts';
import { register as edit } from './commands/edit.ts';
import { register as explain } from './commands/explain.ts';
import { register as flows } from './commands/flows.ts';
import { register as get } from './commands/get.ts';
import { register as history } from './commands/history.ts';
import { register as lab } from './commands/lab.ts';
import { register as label } from './commands/label.ts';
import { register as patch } from './commands/patch.ts';
import { register as policy } from './commands/policy.ts';
import { register as probe } from './commands/probe.ts';
import { register as replace } from './commands/replace.ts';
import { register as selector } from './commands/selector.ts';
import { register as status } from './commands/status.ts';
import { register as test } from './commands/test.ts';
import { register as validate } from './commands/validate.ts';
import { register as version } from './commands/version.ts';
import { register as watch } from './commands/watch.ts';
import { takeEverywhere } from './everywhere.ts';
import { errorText, exitCodeOf, exitCodes } from './exit.ts';
import { withGoFlags } from './go-flags.ts';
import { type Io, processIo } from './io.ts';
import { isPlugin, programName } from './plugin.ts';
import { secretsOfEnvironment, withoutSecrets } from './secrets.ts';

type Register = (program: Command, io: Io) => void;

/** In the order in which the help lists them; a new command is one line here. */
const commands: readonly Register[] = [
  apply,
  create,
  replace,
  patch,
  label,
  edit,
  remove,
  get,
  watch,
  history,
  validate,
  convert,
  lab,
  status,
  probe,
  explain,
  flows,
  ebpf,
  test,
  diff,
  policy,
  selector,
  config,
  datastore,
  doctor,
  agent,
  apiserver,
  cluster,
  version,
  completion,
  announced,
];

/** @param argv - without the interpreter and the script. */
export async function run(argv: readonly string[], given: Io): Promise<number> {
  const io = discreet({ ...given, words: argv });
  const program = programFor(io);
  let running = program;
  program.hook('preAction', async (_, command) => {
    running = command;
    if (isPlugin(io)) (await import('./context-namespace.ts')).useContextNamespace(command, io);
    if (program.opts().ndjson === true && !isFilterable(command)) {
      throw new UsageError(`${pathOf(command)} is not a filter: it takes no --ndjson`);
    }
  });
  try {
    await program.parseAsync(withGoFlags(argv, program), { from: 'user' });
    return exitCodes.ok;
  } catch (error) {
    return told(error, running, io);
  }
}

function programFor(io: Io): Command {
  const program = new Command(programName(io))
    .description(manifest.description)
    .version(manifest.version)
    .option('--ndjson', 'be a filter: one JSON request per line in, one JSON answer per line out')
    .exitOverride()
    .showHelpAfterError()
    .configureOutput({
      writeOut: (text) => io.out(text),
      writeErr: (text) => io.note(text.trimEnd()),
    });
  for (const register of commands) register(program, io);
  takeEverywhere(program);
  return program;
}

/** No message shows a secret, whoever wrote it. */
function discreet(io: Io): Io {
  const secrets = secretsOfEnvironment(io.env);
  return { ...io, note: (text) => io.note(withoutSecrets(text, secrets)) };
}

function told(error: unknown, command: Command, io: Io): number {
  if (error instanceof Told) return error.exitCode;
  // commander has printed its own: help and version end with 0, all else is wrong usage
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
  io.note(errorText(error));
  if (error instanceof UsageError) io.note(`usage: ${pathOf(command)} ${command.usage()}`);
  return exitCodeOf(error);
}

function pathOf(command: Command): string {
  return command.parent ? `${pathOf(command.parent)} ${command.name()}` : command.name();
}

if (import.meta.main) {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit(exitCodes.ok); // the reader, `head` for instance, has seen enough
  });
  process.exitCode = await run(process.argv.slice(2), processIo);
}
