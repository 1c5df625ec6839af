// SPDX-License-Identifier: Apache-2.0
/** Harm done to the text of a manifest: what YAML has beyond values, what editors and encodings leave, plain damage. */
import { manifestText } from '../../src/model/manifest/print.ts';
import type { Random } from '../support/random.ts';
import { hostileTexts } from './hostile-values.ts';

type Harm = (text: string, random: Random) => string;

/** Deep and long at once YAML would be mostly blanks. */
const longestPrinted = 20_000;

/** As a user, a program or another program writes it. */
export function writtenText(random: Random, value: unknown): string {
  const json = JSON.stringify(value) ?? '';
  if (random.chance(0.5)) return random.chance(0.5) ? json : JSON.stringify(value, null, 2);
  return json.length > longestPrinted ? json : manifestText(JSON.parse(json || 'null'));
}

export function corruptedText(random: Random, text: string): string {
  return random.pick(harms)(text, random);
}

const harms: readonly Harm[] = [
  (text) => `\uFEFF${text}`,
  (text, random) => inserted(text, random, '\uFEFF'),
  (text, random) =>
    inserted(text, random, random.pick(['\0', '\u0007', '\u0085', '\u2028', '\ud800', '\u007f'])),
  (text) => text.replaceAll('\n', '\r\n'),
  (text) => text.replaceAll('\n', '\r'),
  (text) => text.replaceAll('  ', '\t'),
  (text) => [...text].join('\0'), // UTF-16 read as bytes
  (text) => Buffer.from(text, 'utf8').toString('latin1'),
  (text) => Buffer.from(text, 'utf16le').toString('utf8'),
  (text, random) => text.slice(0, random.below(text.length + 1)),
  (text, random) => text.slice(random.below(text.length + 1)),
  (text, random) => changedLine(text, random, (line) => `${line}\n${line}`),
  (text, random) => changedLine(text, random, () => ''),
  (text, random) => changedLine(text, random, (line) => ` ${line}`),
  (text, random) => changedLine(text, random, (line) => line.trimStart()),
  (text, random) => changedLine(text, random, (line) => line.replace(': ', ': &x ')),
  (text, random) => changedLine(text, random, (line) => line.replace(/: .*/, ': *x')),
  (text, random) => changedLine(text, random, (line) => line.replace(': ', `: ${random.pick(tags)} `)),
  (text, random) => changedLine(text, random, (line) => line.replace(/: .*/, ': |\n  a\n   b\n')),
  (text, random) => changedLine(text, random, (line) => line.replace(/: .*/, `: ${random.pick(scalars)}`)),
  (text, random) => `${random.pick(['%YAML 1.2', '%YAML 3.0', '%TAG ! tag:x:', '%FOO'])}\n---\n${text}`,
  (text, random) => `${text}\n${random.pick(['---', '...', '--- |', '---\n---\n'])}\n${text}`,
  (text, random) => `base: &x ${flow(text)}\nmore:\n  <<: ${random.pick(['*x', '[*x, *x]', '5', '*y'])}\n`,
  (text) => `<<: ${flow(text)}\n`,
  (text) => `apiVersion: v1\nkind: List\nitems: [${flow(text)}, ${flow(text)}]\n`,
  (text, random) => nestedList(flow(text), random.pick([1, 7, 9, 40])),
  (text, random) => `${bomb(random.pick([2, 3, 4, 12]), random.pick([2, 4]))}\n---\n${text}`,
  (text, random) =>
    `${random.pick(['[', '{a: ', '- ', '? ', '!!x [', '&a ['])}`.repeat(random.pick([70, 5000])) + text,
  (text, random) => inserted(text, random, random.pick(marks)),
  (text, random) => inserted(text, random, random.pick(hostileTexts)),
  (text, random) => inserted(text, random, JSON.stringify(random.pick(hostileTexts))),
];

const tags = [
  '!!binary',
  '!!str',
  '!!int',
  '!!float',
  '!!set',
  '!!python/object/apply:os.system',
  '!x',
  '!<tag:x>',
];
const marks = [
  '"',
  "'",
  '{',
  '}',
  '[',
  ']',
  ',',
  ': ',
  '- ',
  '#',
  '&',
  '*',
  '!',
  '|',
  '>',
  '%',
  '@',
  '`',
  '\n',
  '\t',
];
/** Each is read in its own way by one reader or another. */
const scalars = [
  '9007199254740993',
  '0777',
  '0o17',
  '0x1F',
  '1_000',
  '20:30',
  '1e400',
  '.inf',
  '-.INF',
  '.nan',
  '~',
  'no',
  'On',
  'y',
  '2001-01-01',
  '<<',
  '=',
  '0b11',
  '089',
  '+1',
  '-0',
  '.5',
  '1.',
  '""',
  '!!null',
];

function inserted(text: string, random: Random, piece: string): string {
  const at = random.below(text.length + 1);
  return text.slice(0, at) + piece + text.slice(at);
}

function changedLine(text: string, random: Random, change: (line: string) => string): string {
  const lines = text.split('\n');
  const at = random.below(lines.length);
  return lines.with(at, change(lines[at] ?? '')).join('\n');
}

/** One line of what is JSON, so that it can stand inside; anything else as a string. */
function flow(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text));
  } catch {
    return JSON.stringify(text);
  }
}

function nestedList(item: string, levels: number): string {
  const open = '{"apiVersion":"v1","kind":"List","items":[';
  return open.repeat(levels) + item + ']}'.repeat(levels);
}

/** Each line stands for `width` times the one before. */
export function bomb(lines: number, width: number): string {
  const line = (i: number) =>
    `a${i}: &a${i} [${Array(width)
      .fill(i === 0 ? 'lol' : `*a${i - 1}`)
      .join(', ')}]`;
  return Array.from({ length: lines }, (_, i) => line(i)).join('\n');
}
