// SPDX-License-Identifier: Apache-2.0
/** `muslin doctor`: whether this host can run a data plane, before it is switched. */
import { type Command, Option } from 'commander';
import { type DataplaneName, dataplaneNames } from '../../contract/config.ts';
import { jsonOption, Told } from '../command.ts';
import { exitCodes } from '../exit.ts';
import type { Io } from '../io.ts';

interface DoctorOptions {
  readonly dataplane?: DataplaneName;
  readonly output?: string;
}

export function register(program: Command, io: Io): void {
  program
    .command('doctor')
    .description('say whether this host can run a data plane; exit 8 when something that it needs is missing')
    .addOption(new Option('--dataplane <name>', 'one; else all').choices([...dataplaneNames]))
    .addOption(jsonOption())
    .action((options: DoctorOptions) => examine(options, io));
}

async function examine(options: DoctorOptions, io: Io): Promise<void> {
  const { UnsupportedError } = await import('../../lib/errors.ts');
  if (process.getuid?.() !== 0) throw new UnsupportedError('the doctor asks the kernel by trying: want root');
  const { hostFacts } = await import('../host-facts.ts');
  const { findingsOf } = await import('../doctor.ts');
  const { tableText } = await import('../table.ts');
  const facts = hostFacts();
  const names = options.dataplane ? [options.dataplane] : dataplaneNames;
  const findings = names.flatMap((name) => findingsOf(name, facts));
  const lacking = names.filter((name) =>
    findings.some((each) => each.dataplane === name && each.state === 'missing'),
  );
  if (options.output === 'json') {
    const able = Object.fromEntries(names.map((name) => [name, !lacking.includes(name)]));
    io.out(`${JSON.stringify({ able, findings }, null, 2)}\n`);
  } else {
    const rows = findings.map(({ dataplane, check, state, found, advice }) => [
      dataplane,
      check,
      state,
      found,
      advice,
    ]);
    io.out(tableText([['DATAPLANE', 'CHECK', 'STATE', 'FOUND', 'ADVICE'], ...rows]));
    for (const name of names)
      io.note(`${name}: ${lacking.includes(name) ? 'this host cannot run it' : 'this host can run it'}`);
  }
  if (lacking.length > 0) throw new Told(exitCodes.problems);
}
