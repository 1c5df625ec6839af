// SPDX-License-Identifier: Apache-2.0
/** `muslin explain`: why a packet passes or is dropped, tier by tier. */
import type { Command } from 'commander';
import { jsonOption } from '../command.ts';
import type { Io } from '../io.ts';

interface ExplainOptions {
  readonly from: string;
  readonly to: string;
  readonly port?: string;
  readonly protocol: string;
  readonly ipVersion?: string;
  readonly output?: string;
  readonly datastore?: string;
  readonly lab?: string;
}

export function register(program: Command, io: Io): void {
  program
    .command('explain')
    .description('say whether a packet is allowed, and by which rule')
    .requiredOption('--from <pod>', 'namespace/pod or an address')
    .requiredOption('--to <pod>', 'namespace/pod or an address')
    .option('--port <number>', 'destination port')
    .option('--protocol <name>', 'TCP, UDP, SCTP, ICMP, ICMPv6 or a number', 'TCP')
    .option('--ip-version <4|6>', 'else the first that both have')
    .addOption(jsonOption())
    .option('--datastore <file>', "the embedded store; else the running lab's")
    .option('--lab <folder>', 'the lab; else MUSLIN_LAB or .lab in the clone')
    .action((options: ExplainOptions) => explainPair(options, io));
}

async function explainPair(options: ExplainOptions, io: Io): Promise<void> {
  const { findPlace } = await import('../place.ts');
  const { compiledCluster, storedResources } = await import('../lab-view.ts');
  const { explainBetween } = await import('../evaluators/policy-eval.ts');
  const { from, to, port, protocol } = options;
  const { state } = compiledCluster(await storedResources(findPlace(options, io)));
  const ipVersion = options.ipVersion === undefined ? undefined : Number(options.ipVersion);
  const explanation = explainBetween(state, { from, to, port, protocol, ipVersion });
  if (options.output === 'json') return io.out(`${JSON.stringify(explanation, null, 2)}\n`);
  const { explanationText } = await import('../explanation.ts');
  io.out(explanationText(explanation, from, to));
}
