// SPDX-License-Identifier: Apache-2.0
/** `muslin config parse`: the effective value of a setting. */
import type { Command } from 'commander';
import { evaluating, group, Told } from '../command.ts';
import { exitCodes } from '../exit.ts';
import type { Io } from '../io.ts';

export function register(program: Command, io: Io): void {
  const parse = group(program, 'config', 'read settings')
    .command('parse')
    .description("print what a word for one of Felix's parameters comes to")
    .argument('<name>', 'as in FelixConfiguration, in any case')
    .argument('<value>', 'as in the environment');
  evaluating(
    parse,
    io,
    async () => (await import('../evaluators/config-parse.ts')).parseSetting,
    async (_, name = '', text = '') => {
      const { parseSetting } = await import('../evaluators/config-parse.ts');
      const { value, error, effect } = parseSetting({ name, value: text });
      io.out(`${JSON.stringify(value)}\n`);
      if (effect === 'none yet') io.note(`${name} is accepted and has no effect yet`);
      if (!error) return;
      io.note(`error: ${error.message}: the default holds`);
      throw new Told(exitCodes.invalid);
    },
  );
}
