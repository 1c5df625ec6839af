// SPDX-License-Identifier: Apache-2.0
/** `muslin policy eval|compile`: what policies do, without lab, root or datastore. */
import type { Command } from 'commander';
import { evaluating, group, jsonOption } from '../command.ts';
import type { Io } from '../io.ts';

interface EvalOptions {
  readonly file?: readonly string[];
  readonly recursive?: boolean;
  readonly skipUnsupported?: boolean;
  readonly from?: string;
  readonly to?: string;
  readonly port?: string;
  readonly protocol?: string;
  readonly rules?: boolean;
  readonly output?: string;
}

interface CompileOptions {
  readonly file?: readonly string[];
  readonly recursive?: boolean;
  readonly skipUnsupported?: boolean;
  readonly node?: string;
}

export function register(program: Command, io: Io): void {
  const policy = group(program, 'policy', 'see what policies do');
  const evaluate = policy
    .command('eval')
    .description(
      'say whether a packet is allowed by manifests, or print the table of all pairs; --rules: of one compiled endpoint',
    )
    .option('-f, --file <path...>', 'manifests: file, directory or -')
    .option('-R, --recursive', 'also the directories below')
    .option('--skip-unsupported', 'leave out objects of kinds that are not read, and say so')
    .option('--from <end>', 'namespace/pod, an address, or host/NODE')
    .option('--to <end>', 'likewise')
    .option('--port <port>', 'destination port, or its name at the destination; for the table 80 if left out')
    .option('--protocol <name>', 'TCP, UDP, SCTP, ICMP or a number; TCP if left out')
    .option('--rules', 'requests hold one compiled endpoint and one packet')
    .addOption(jsonOption());
  evaluating<EvalOptions>(evaluate, io, loadEvaluator, (options) => evalForPeople(options, io));
  const compile = policy
    .command('compile')
    .description('print what the calculation graph sends to one node')
    .option('-f, --file <path...>', 'manifests: file, directory or -')
    .option('-R, --recursive', 'also the directories below')
    .option('--skip-unsupported', 'leave out objects of kinds that are not read, and say so')
    .option('--node <name>', 'the node; else the first that a Pod runs on');
  evaluating<CompileOptions>(
    compile,
    io,
    async () => (await import('../evaluators/policy-compile.ts')).compileRequest,
    (options) => compileForPeople(options, io),
  );
}

async function loadEvaluator(options: EvalOptions): Promise<(request: unknown) => unknown> {
  if (options.rules) return (await import('../../observe/evaluate-rules.ts')).evaluateRules;
  return (await import('../evaluators/policy-eval.ts')).evaluatePolicyRequest;
}

async function evalForPeople(options: EvalOptions, io: Io): Promise<void> {
  if (options.rules) return evalRules(options, io);
  const { readManifests } = await import('../manifests.ts');
  const { clusterOf } = await import('../evaluators/cluster.ts');
  const resources = await readManifests(options, io);
  const cluster = clusterOf(resources);
  const placed = new Set([...cluster.state.endpoints.values()].map((endpoint) => endpoint.name));
  for (const { kind, metadata } of resources) {
    const name = `${metadata.namespace}/${metadata.name}`;
    if (kind === 'Pod' && !placed.has(name))
      io.note(`warning: pod ${name} is left out: it has no address (status.podIP)`);
  }
  const { faultText } = await import('../exit.ts');
  for (const fault of cluster.faults) io.note(faultText(fault).replace('error:', 'warning:'));
  if (options.from !== undefined || options.to !== undefined) return evalOne(cluster, options, io);
  return evalAll(cluster.state, options, io);
}

type State = import('../../observe/dataplane-state.ts').DataplaneState;
type Cluster = import('../evaluators/cluster.ts').Cluster;

async function evalOne(cluster: Cluster, options: EvalOptions, io: Io): Promise<void> {
  const { UsageError } = await import('../../lib/errors.ts');
  const { from, to, port, protocol, output } = options;
  if (from === undefined || to === undefined)
    throw new UsageError('want both --from and --to, or neither for all pairs');
  const { explainBetween } = await import('../evaluators/policy-eval.ts');
  const { explanationText } = await import('../explanation.ts');
  const explanation = explainBetween(cluster, { from, to, port, protocol });
  io.out(
    output === 'json' ? `${JSON.stringify(explanation, null, 2)}\n` : explanationText(explanation, from, to),
  );
}

async function evalAll(state: State, options: EvalOptions, io: Io): Promise<void> {
  const { matrixTables, probeName, verdictMatrix } = await import('../../observe/matrix.ts');
  const { familyOfAll, matrixProbe } = await import('../evaluators/policy-eval.ts');
  const { packetSpec } = await import('../evaluators/probe-spec.ts');
  if (state.endpoints.size === 0) {
    const { InvalidError } = await import('../../lib/errors.ts');
    throw new InvalidError('no pod has an address (status.podIP): there is nothing to evaluate');
  }
  const probe = matrixProbe(packetSpec(options.protocol ?? 'TCP', options.port ?? '80'));
  const matrix = verdictMatrix(state, { probes: [probe], ipVersion: familyOfAll(state) });
  if (options.output === 'json')
    return io.out(`${JSON.stringify({ tables: matrixTables(state, matrix) }, null, 2)}\n`);
  const { matrixText } = await import('../matrix.ts');
  const names = matrix.endpoints.map((id) => state.endpoints.get(id)?.name ?? id);
  const field = (from: number, to: number) =>
    from === to ? 'same' : matrix.allowed(0, from, to) ? 'yes' : 'no';
  io.out(matrixText(names, [{ title: `${probeName(probe)} by policy`, field }]));
}

/** A file with one request, as the filter reads them. */
async function evalRules(options: EvalOptions, io: Io): Promise<void> {
  const { readInputs } = await import('../io.ts');
  const { UsageError } = await import('../../lib/errors.ts');
  const { evaluateRules } = await import('../../observe/evaluate-rules.ts');
  if (!options.file) throw new UsageError('want -f FILE with one request, or --ndjson');
  for (const input of readInputs(options.file, options.recursive ?? false, io)) {
    io.out(`${JSON.stringify(evaluateRules(JSON.parse(input.text)), null, 2)}\n`);
  }
}

async function compileForPeople(options: CompileOptions, io: Io): Promise<void> {
  const { readManifests } = await import('../manifests.ts');
  const { compileResources } = await import('../evaluators/policy-compile.ts');
  const resources = await readManifests(options, io);
  io.out(`${JSON.stringify(compileResources(options.node, resources), null, 2)}\n`);
}
