// SPDX-License-Identifier: Apache-2.0
/** `muslin completion`: what a shell offers, from the commands as they are declared and the table of kinds. */
import type { Command, Option } from 'commander';
import { kinds } from '../model/kinds.ts';

export type Shell = 'bash' | 'zsh' | 'fish';

/** One command: `get`, `policy eval`; the program itself has no words. */
interface Row {
  readonly words: readonly string[];
  readonly about: string;
  readonly commands: readonly string[];
  readonly options: readonly OptionRow[];
  /** Its first argument is a kind. */
  readonly takesKind: boolean;
}

interface OptionRow {
  readonly flags: readonly string[];
  readonly about: string;
  readonly value: 'none' | 'file' | 'other' | readonly string[];
  /** The next word is never its value: it stands behind an equals sign or nowhere. */
  readonly optional: boolean;
}

export function completionText(shell: Shell, program: Command): string {
  const rows = rowsOf(program, []);
  const name = program.name().split(' ').at(-1) ?? 'muslin';
  switch (shell) {
    case 'bash':
      return bashText(name, rows);
    case 'zsh':
      return `#compdef ${name}\nautoload -U +X bashcompinit && bashcompinit\n${bashText(name, rows)}`;
    case 'fish':
      return fishText(name, rows);
  }
}

function rowsOf(command: Command, words: readonly string[]): readonly Row[] {
  const shown = command.commands.filter((each) => !isHidden(each));
  const [first] = command.registeredArguments;
  const row = {
    words,
    about: command.description(),
    commands: shown.map((each) => each.name()),
    options: command.options.filter(({ hidden }) => !hidden).map(optionRow),
    takesKind: /\bkind\b/.test(first?.name() ?? ''),
  };
  return [row, ...shown.flatMap((each) => rowsOf(each, [...words, each.name()]))];
}

/** commander keeps it to itself; what is hidden is not in the help either. */
function isHidden(command: Command): boolean {
  return (command as unknown as { readonly _hidden?: boolean })._hidden === true;
}

const outputs = [
  'wide',
  'yaml',
  'json',
  'ndjson',
  'name',
  'ps',
  'custom-columns=',
  'jsonpath=',
  'go-template=',
];

function optionRow(option: Option): OptionRow {
  const flags = [option.short, option.long].filter((flag) => flag !== undefined);
  return { flags, about: option.description, value: valueKind(option), optional: option.optional };
}

function valueKind({ flags, argChoices, required, long }: Option): OptionRow['value'] {
  if (argChoices) return argChoices;
  if (!required) return 'none';
  if (/<(file|files|path|folder|path\.\.\.|lab\.yaml)>/.test(flags)) return 'file';
  return long === '--output' ? outputs : 'other';
}

const kindNames = kinds.map(({ plural }) => plural).sort();

// ---- bash ----------------------------------------------------------------------------------------------------------

/** bash-completion need not be installed: nothing of it is used. zsh reads the same by bashcompinit. */
function bashText(name: string, rows: readonly Row[]): string {
  const variable = name.replaceAll('-', '_');
  return `# ${name} completion: source it, or put it into the folder of your shell's completions
_${variable}_kinds='${kindNames.join(' ')}'

_${variable}_names() {
  local word words=()
  for word in "\${@:2}"; do case $word in -n*|--namespace*|-A|--all-namespaces|--kubeconfig*|--context*) words+=("$word") ;; esac; done
  "\${COMP_WORDS[0]}" get "$1" --no-headers -o custom-columns=NAME:.metadata.name "\${words[@]}" 2>/dev/null
}

_${variable}() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} path= kind= takes=0 word i choices=
  COMPREPLY=()
  if [ "$current" = = ]; then current= previous=$previous=; elif [ "$previous" = = ]; then previous=\${COMP_WORDS[COMP_CWORD-2]}=; fi # bash parts words there
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    case "$word" in =) i=$((i + 1)); continue ;; esac
    case "$word" in ${valueFlags(rows)}) i=$((i + 1)); if [ "\${COMP_WORDS[i]-}" = = ]; then i=$((i + 1)); fi; continue ;; esac
    case "$path/$word" in
${rows
  .filter(({ words }) => words.length > 0)
  .map(({ words }) => `      ${quotedPath(words)}) path=$path/$word ;;`)
  .join('\n')}
      */-*) ;;
      *) if [ -z "$kind" ]; then kind=$word; fi ;;
    esac
  done
  case "$path" in
${rows.map(bashCase).join('\n')}
  esac
  case "$path $previous" in
${rows.flatMap(bashValues).join('\n')}
  esac
  if [ "$takes" = 1 ] && [[ $current != -* ]]; then
    if [ -z "$kind" ]; then choices="$choices $_${variable}_kinds"; else choices="$choices $(_${variable}_names "$kind" "\${COMP_WORDS[@]:1}")"; fi
  fi
  COMPREPLY=($(compgen -W "$choices" -- "$current"))
}

complete -o default -F _${variable} ${name}
`;
}

/** What follows one of these is its value, whichever command it belongs to. */
function valueFlags(rows: readonly Row[]): string {
  const flags = rows.flatMap(({ options }) =>
    options.flatMap(({ value, optional, flags }) => (value === 'none' || optional ? [] : flags)),
  );
  return [...new Set(flags)].sort().join('|');
}

function quotedPath(words: readonly string[]): string {
  return `/${words.join('/')}`;
}

function bashCase({ words, commands, options, takesKind }: Row): string {
  const choices = [...commands, ...options.flatMap(({ flags }) => flags)].join(' ');
  const path = words.length === 0 ? "''" : quotedPath(words);
  return `    ${path}) choices='${choices}'${takesKind ? ' takes=1' : ''} ;;`;
}

/** Words after an option that has a value. */
function bashValues({ words, options }: Row): readonly string[] {
  const path = words.length === 0 ? '' : quotedPath(words);
  return options.flatMap(({ flags, value, optional }) => {
    if (value === 'none') return [];
    const ends = optional ? ['='] : ['', '='];
    const pattern = flags.flatMap((flag) => ends.map((end) => `'${path} ${flag}${end}'`)).join('|');
    const answer =
      value === 'file'
        ? 'COMPREPLY=($(compgen -f -- "$current"))'
        : value === 'other'
          ? ':'
          : `COMPREPLY=($(compgen -W '${value.join(' ')}' -- "$current"))`;
    return [`    ${pattern}) ${answer}; return ;;`];
  });
}

// ---- fish ----------------------------------------------------------------------------------------------------------

function fishText(name: string, rows: readonly Row[]): string {
  const lines = rows.flatMap((row) => fishLines(name, row));
  return `# ${name} completion for fish: put it into ~/.config/fish/completions/${name}.fish\n${lines.join('\n')}\n`;
}

function fishLines(name: string, { words, commands, options, takesKind }: Row): readonly string[] {
  const here = words.map((word) => `__fish_seen_subcommand_from ${word}`);
  const none = commands.length === 0 ? [] : [`not __fish_seen_subcommand_from ${commands.join(' ')}`];
  const when = words.length === 0 ? '' : `-n '${here.join('; and ')}' `;
  const before = [...here, ...none].join('; and ');
  const list = (values: readonly string[]) =>
    `complete -c ${name} -f -n '${before}' -a '${values.join(' ')}'`;
  return [
    ...(commands.length > 0 ? [list(commands)] : []),
    ...(takesKind ? [list(kindNames)] : []),
    ...options.map((option) => `complete -c ${name} ${when}${fishOption(option)}`),
  ];
}

function fishOption({ flags, about, value }: OptionRow): string {
  const names = flags.map((flag) => (flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`));
  const takes =
    value === 'none'
      ? []
      : value === 'file'
        ? ['-r -F']
        : value === 'other'
          ? ['-x']
          : [`-x -a '${value.join(' ')}'`];
  return [...names, ...takes, `-d '${about.replace(/[\\']/g, '\\$&')}'`].join(' ');
}
