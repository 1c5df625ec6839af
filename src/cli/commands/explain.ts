// SPDX-License-Identifier: Apache-2.0
/** `muslin explain`: why a packet passes or is dropped, tier by tier. */
import type { Command } from 'commander';
import { jsonOption } from '../command.ts';
import type { Cluster } from '../evaluators/cluster.ts';
import type { Io } from '../io.ts';

interface ExplainOptions {
  readonly from: string;
  readonly to: string;
  readonly port?: string;
  readonly protocol?: string;
  readonly ipVersion?: string;
  readonly uplink?: string;
  readonly output?: string;
  readonly datastore?: string;
  readonly lab?: string;
}

export function register(program: Command, io: Io): void {
  program
    .command('explain')
    .description('say whether a packet is allowed, and by which rule')
    .requiredOption('--from <end>', 'namespace/pod, an address, or host/NODE for the node itself')
    .requiredOption('--to <end>', 'likewise')
    .option('--port <port>', "destination port: a number, or the name of one of the destination's")
    .option('--protocol <name>', "TCP, UDP, SCTP, ICMP, ICMPv6 or a number; else the named port's, or TCP")
    .option('--ip-version <4|6>', 'else the first that both have')
    .option(
      '--uplink <name>',
      "the nodes' link to each other; else eth0 in a lab, or what host endpoints say",
    )
    .addOption(jsonOption())
    .option('--datastore <file>', "the embedded store; else the running lab's")
    .option('--lab <folder>', 'the lab; else MUSLIN_LAB or .lab in the clone')
    .action((options: ExplainOptions) => explainPair(options, io));
}

async function explainPair(options: ExplainOptions, io: Io): Promise<void> {
  const { explainBetween } = await import('../evaluators/policy-eval.ts');
  const { from, to, port, protocol } = options;
  const cluster = await clusterAt(options, io);
  const ipVersion = options.ipVersion === undefined ? undefined : Number(options.ipVersion);
  const explanation = explainBetween(cluster, { from, to, port, protocol, ipVersion });
  if (options.output === 'json') return io.out(`${JSON.stringify(explanation, null, 2)}\n`);
  const { explanationText } = await import('../explanation.ts');
  io.out(explanationText(explanation, from, to));
}

async function clusterAt(options: ExplainOptions, io: Io): Promise<Cluster> {
  const { findPlace } = await import('../place.ts');
  const { compiledCluster, labKnowledge, storedResources } = await import('../lab-view.ts');
  const { parseIfName } = await import('../../lib/if-name.ts');
  const place = await findPlace(options, io);
  const known = place.lab ? labKnowledge(place.lab.spec) : {};
  const uplink = options.uplink === undefined ? {} : { uplink: parseIfName(options.uplink) };
  return compiledCluster(await storedResources(place, io), { ...known, ...uplink });
}
