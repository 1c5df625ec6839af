// SPDX-License-Identifier: Apache-2.0
/** `muslin apiserver`: a Kubernetes API server without a cluster, in the foreground. */
import { type Command, InvalidArgumentError } from 'commander';
import { tryParseCidr } from '../../lib/cidr.ts';
import type { Io } from '../io.ts';

interface ApiServerFlags {
  readonly listen: { readonly host: string; readonly port: number };
  readonly socket?: string;
  readonly folder?: string;
  readonly kubeconfig?: string;
  readonly serviceCidr: readonly string[];
  readonly nodePorts: { readonly first: number; readonly last: number };
  readonly controllers: boolean;
}

const defaultRanges: readonly string[] = ['10.96.0.0/12'];

export function register(program: Command, io: Io): void {
  program
    .command('apiserver')
    .description('serve the Kubernetes API from this process: for labs and tests, without a cluster')
    .option('--listen <host:port>', 'where TLS is served; port 0: any that is free', addressOf, {
      host: '127.0.0.1',
      port: 0,
    })
    .option(
      '--socket <path>',
      'also serve on this Unix socket, without TLS; who may open it is administrator',
    )
    .option('--folder <path>', 'keep state and certificates there; without it nothing outlives the process')
    .option('--kubeconfig <path>', "write an administrator's kubeconfig there as soon as it serves")
    .option('--service-cidr <cidr,...>', 'where Services get their addresses', listOf, defaultRanges)
    .option('--node-ports <first-last>', 'where Services get their node ports', portsOf, {
      first: 30_000,
      last: 32_767,
    })
    .option(
      '--no-controllers',
      'do not empty namespaces, collect garbage or make accounts and endpoint slices',
    )
    .action(async (flags: ApiServerFlags) => {
      const { serve } = await import('../apiserver.ts');
      const { listen, socket, folder, kubeconfig, serviceCidr, nodePorts, controllers } = flags;
      await serve(
        { ...listen, socket, folder, kubeconfig, serviceCidrs: serviceCidr, nodePorts, controllers },
        io,
      );
    });
}

function addressOf(text: string): ApiServerFlags['listen'] {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  const host = match?.[1] ?? match?.[2];
  if (host !== undefined && port <= 65_535) return { host, port };
  throw new InvalidArgumentError(`got ${text}, want an address and a port, 127.0.0.1:6443`);
}

function portsOf(text: string): ApiServerFlags['nodePorts'] {
  const match = /^(\d{1,5})-(\d{1,5})$/.exec(text);
  const [first, last] = [Number(match?.[1]), Number(match?.[2])];
  if (match && first >= 1 && first <= last && last <= 65_535) return { first, last };
  throw new InvalidArgumentError(`got ${text}, want two ports, 30000-32767`);
}

/** Commas or several options: each adds to those before. */
function listOf(text: string, before: readonly string[]): readonly string[] {
  const found = text.split(',').map((part) => part.trim());
  const wrong = found.find((part) => tryParseCidr(part) === null);
  if (wrong !== undefined) throw new InvalidArgumentError(`got ${wrong}, want a range, 10.96.0.0/12`);
  return before === defaultRanges ? found : [...before, ...found];
}
