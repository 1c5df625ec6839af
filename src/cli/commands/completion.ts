// SPDX-License-Identifier: Apache-2.0
/** `muslin completion bash|zsh|fish`. */
import { Argument, type Command } from 'commander';
import type { Shell } from '../completion.ts';
import type { Io } from '../io.ts';

const use = `
bash:  source <(muslin completion bash), in ~/.bashrc
zsh:   source <(muslin completion zsh), in ~/.zshrc
fish:  muslin completion fish > ~/.config/fish/completions/muslin.fish`;

export function register(program: Command, io: Io): void {
  program
    .command('completion')
    .description('print what lets a shell complete commands, flags, kinds and names')
    .addArgument(new Argument('<shell>').choices(['bash', 'zsh', 'fish']))
    .addHelpText('after', use)
    .action(async (shell: Shell) => {
      const { completionText } = await import('../completion.ts');
      io.out(completionText(shell, program));
    });
}
