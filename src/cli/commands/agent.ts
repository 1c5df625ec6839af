// SPDX-License-Identifier: Apache-2.0
/** `muslin agent`: the node agent, in the foreground. */
import type { Command } from 'commander';
import type { AgentArguments } from '../../agent/config.ts';
import type { Io } from '../io.ts';

export function register(program: Command, io: Io): void {
  program
    .command('agent')
    .description(
      'run the node agent in this network namespace until SIGTERM; the kernel then keeps what it has',
    )
    .option('--node <name>', 'the node it is; else NODENAME')
    .option('--datastore <file>', 'an embedded store; else MUSLIN_DATASTORE')
    .option(
      '-c, --config <file>',
      "Calico's file that names an etcd or Kubernetes store; else DATASTORE_TYPE and what belongs to it",
    )
    .option('--socket <path>', 'where it serves health and status')
    .option('--bpf <folder>', 'where it pins guards, on a BPF file system')
    .option(
      '--dataplane <name>',
      'nftables or ebpf; else ebpf where FELIX_BPFENABLED is true, nftables otherwise',
    )
    .option(
      '--cgroup <folder>',
      'below which connections to services are balanced; else the root of cgroup v2',
    )
    .option(
      '--config-file <file>',
      'settings in the form of felix.cfg; else /etc/calico/felix.cfg if it is there',
    )
    .action(async (options: AgentArguments) => {
      const { agentConfig } = await import('../../agent/config.ts');
      const { runAgent } = await import('../../agent/main.ts');
      const { UnsupportedError } = await import('../../lib/errors.ts');
      if (process.getuid?.() !== 0) throw new UnsupportedError('the agent programs the kernel: want root');
      await runAgent(agentConfig(options, io.env));
    });
}
