// SPDX-License-Identifier: Apache-2.0
/** `muslin ebpf ...`: what the maps and programs of the eBPF data plane hold, with names. */
import { type Command, Option } from 'commander';
import type { AnswerOf, Query } from '../agent-inspection.ts';
import { type AgentOptions, agentOptions } from '../agent-options.ts';
import { group } from '../command.ts';
import type { TableKind } from '../ebpf-tables.ts';
import type { Io } from '../io.ts';

interface RowOptions extends AgentOptions {
  readonly address?: string;
  readonly endpoint?: string;
  readonly service?: string;
  readonly limit?: string;
}

interface DumpOptions extends AgentOptions {
  readonly direction?: string;
  readonly ipVersion?: string;
}

export function register(program: Command, io: Io): void {
  const ebpf = group(program, 'ebpf', 'look into the eBPF data plane');
  rowsCommand(ebpf, 'conntrack', 'flows that policy accepted, and how their packets are changed and sent on')
    .option('--address <address>', 'of either end, before or after translation')
    .option('--endpoint <name>', 'namespace/pod, or its name alone')
    .action((options: RowOptions) => showRows('conntrack', options, io));
  rowsCommand(ebpf, 'nat', 'services and the backends that they lead to')
    .option('--address <address>', "the service's or a backend's")
    .option('--service <name>', 'namespace/name, or its name alone')
    .action((options: RowOptions) => showRows('nat', options, io));
  rowsCommand(ebpf, 'routes', 'whose an address is')
    .option('--address <address>', 'that they cover; the last of them is what counts')
    .option('--endpoint <name>', 'namespace/pod, or its name alone')
    .action((options: RowOptions) => showRows('routes', options, io));
  rowsCommand(ebpf, 'ipsets', 'sets of addresses that policies ask, or the members of one')
    .argument('[set]', 'its id: as the list has it, or of the IP set')
    .option('--address <address>', 'of one set: the members that hold it')
    .action((set: string | undefined, options: RowOptions) => showSets(set, options, io));
  rowsCommand(ebpf, 'counters', 'packets dropped by reason, and how often each rule decided').action(
    (options: RowOptions) => showRows('counters', options, io),
  );
  agentOptions(ebpf.command('links').description('links, whose they are, and the policy programs at them'))
    .option('--endpoint <name>', 'namespace/pod, or its name alone')
    .action((options: RowOptions) => showRows('links', options, io));
  registerPolicy(ebpf, io);
}

function registerPolicy(ebpf: Command, io: Io): void {
  const policy = group(ebpf, 'policy', 'policy programs');
  agentOptions(
    policy.command('dump').description('print the instructions beside the rules that they are for'),
  )
    .argument('<endpoint>', 'namespace/pod, a host endpoint, or the name alone')
    .addOption(new Option('--direction <direction>', 'else both').choices(['ingress', 'egress']))
    .addOption(new Option('--ip-version <4|6>', 'else both').choices(['4', '6']))
    .action((endpoint: string, options: DumpOptions) => dumpPolicy(endpoint, options, io));
}

function rowsCommand(ebpf: Command, name: string, description: string): Command {
  return agentOptions(ebpf.command(name).description(description)).option(
    '--limit <count>',
    'rows of each node at most; else 1000, and it is said how many were left out',
  );
}

async function showRows(kind: TableKind, options: RowOptions, io: Io): Promise<void> {
  const { address, endpoint, service, limit } = options;
  return show(kind, { address, endpoint, service, limit }, options, io);
}

async function showSets(set: string | undefined, options: RowOptions, io: Io): Promise<void> {
  const { address, limit } = options;
  if (set !== undefined) return show('ipset', { id: set, address, limit }, options, io);
  if (address === undefined) return show('ipsets', { limit }, options, io);
  const { UsageError } = await import('../../lib/errors.ts');
  throw new UsageError('--address: got no set, want the one whose members to look through');
}

async function show<K extends TableKind>(
  kind: K,
  query: Query,
  options: AgentOptions,
  io: Io,
): Promise<void> {
  const { agentSockets } = await import('../agent-status.ts');
  const { askAll } = await import('../agent-inspection.ts');
  const { answers, wantAll } = await askAll<AnswerOf<K>>(
    agentSockets(options, io),
    `/ebpf/${kind}`,
    query,
    io,
  );
  if (!(await plainly(answers, options, io))) {
    const { ebpfTable, leftOutNote } = await import('../ebpf-tables.ts');
    io.out(ebpfTable(kind, answers, { wide: options.output === 'wide', several: answers.length > 1 }));
    const note = leftOutNote(kind, answers);
    if (note !== null) io.note(note);
  }
  wantAll();
}

async function dumpPolicy(endpoint: string, options: DumpOptions, io: Io): Promise<void> {
  const { agentSockets } = await import('../agent-status.ts');
  const { askAll } = await import('../agent-inspection.ts');
  const { policyListing } = await import('../policy-listing.ts');
  const { direction, ipVersion: family } = options;
  const query = { endpoint, direction, family };
  const sockets = agentSockets(options, io);
  const { answers, wantAll } = await askAll<AnswerOf<'policy'>>(sockets, '/ebpf/policy', query, io);
  if (!(await plainly(answers, options, io))) io.out(policyListing(answers));
  wantAll();
}

/** A list, also of one node's. @returns false when it is people who asked. */
async function plainly(answers: readonly object[], { output }: AgentOptions, io: Io): Promise<boolean> {
  if (output === 'json') io.out(`${JSON.stringify(answers, null, 2)}\n`);
  else if (output === 'yaml') io.out((await import('../../model/manifest/print.ts')).manifestText(answers));
  else return false;
  return true;
}
