// SPDX-License-Identifier: Apache-2.0
/**
 * Flags as Go's programs take them, so that habits and scripts of kubectl and calicoctl hold: `--wait=false`, `--all=true`,
 * and a flag whose value may be left out never takes the next word for it.
 *
 * @see github.com/spf13/pflag, "Command line flag syntax" and "Setting no option default values for flags"
 */
import type { Command, Option } from 'commander';

/** @param argv - after `--` words stay as they are. */
export function withGoFlags(argv: readonly string[], program: Command): readonly string[] {
  const words: string[] = [];
  let command = program;
  for (const [i, word] of argv.entries()) {
    if (word === '--') return [...words, ...argv.slice(i)];
    if (!word.startsWith('-')) command = command.commands.find((each) => each.name() === word) ?? command;
    words.push(...rewritten(word, command.options));
  }
  return words;
}

function rewritten(word: string, options: readonly Option[]): readonly string[] {
  const [, name = word, truth] = /^(--[a-z-]+)=(true|false)$/.exec(word) ?? [];
  const option = options.find(({ long }) => long === name);
  if (!option || option.required) return [word];
  if (option.optional) return truth === undefined && name === word ? [`${word}=${option.presetArg}`] : [word];
  if (truth !== 'false') return [name];
  const negated = name.replace(/^--/, '--no-');
  return options.some(({ long }) => long === negated) ? [negated] : [];
}
