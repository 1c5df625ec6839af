// SPDX-License-Identifier: Apache-2.0
/** `muslin selector parse|eval`. */
import type { Command } from 'commander';
import { evaluating, group, Told } from '../command.ts';
import { exitCodes } from '../exit.ts';
import type { Io } from '../io.ts';

export function register(program: Command, io: Io): void {
  const selector = group(program, 'selector', 'read and try selectors');
  const parse = selector
    .command('parse')
    .description('print the canonical form of a selector and the id of its IP set')
    .argument('<selector>');
  evaluating(
    parse,
    io,
    async () => (await import('../evaluators/selector.ts')).parseRequest,
    async (_, text = '') => {
      const { parseRequest } = await import('../evaluators/selector.ts');
      const answer = parseRequest({ selector: text });
      if ('error' in answer) {
        io.note(`${text}\n${' '.repeat(answer.error.position)}^\nerror: ${answer.error.message}`);
        throw new Told(exitCodes.invalid);
      }
      io.out(`${answer.canonical}\n${answer.id}\n`);
    },
  );
  const evaluate = selector
    .command('eval')
    .description('print whether labels match a selector')
    .argument('<selector>')
    .argument('[label...]', 'key=value');
  evaluating(
    evaluate,
    io,
    async () => (await import('../evaluators/selector.ts')).evalRequest,
    async (_, text = '', ...labels) => {
      const { evalRequest } = await import('../evaluators/selector.ts');
      io.out(`${evalRequest({ selector: text, labels: await labelsOf(labels) }).match}\n`);
    },
  );
}

async function labelsOf(pairs: readonly string[]): Promise<{ [key: string]: string }> {
  const { UsageError } = await import('../../lib/errors.ts');
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf('=');
      if (at < 1) throw new UsageError(`label: got ${JSON.stringify(pair)}, want key=value`);
      return [pair.slice(0, at), pair.slice(at + 1)];
    }),
  );
}
