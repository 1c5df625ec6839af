// SPDX-License-Identifier: Apache-2.0
/** `muslin probe` (also `muslin lab probe`): who reaches whom, measured with real connections. */
import type { Command } from 'commander';
import type { PairOptions, PairResult } from '../../lab/pairs.ts';
import { jsonOption, Told } from '../command.ts';
import { exitCodes } from '../exit.ts';
import type { Io } from '../io.ts';
import type { Square } from '../matrix.ts';

interface ProbeOptions {
  readonly from?: string;
  readonly to?: string;
  readonly port?: string;
  readonly protocol: string;
  readonly ipVersion?: string;
  readonly timeout: string;
  readonly againstPolicy?: boolean;
  readonly output?: string;
  readonly lab?: string;
}

export function register(program: Command, io: Io): void {
  registerProbe(program, io);
}

export function registerProbe(parent: Command, io: Io): void {
  parent
    .command('probe')
    .description('connect every pod of the lab with every other and print who was reached')
    .option('--from <pod>', 'namespace/pod; else every pod')
    .option('--to <pod>', 'namespace/pod or an address; else every pod')
    .option('--port <number>', "else the destination's first port of the protocol, or 80")
    .option('--protocol <name>', 'TCP, UDP or ICMP', 'TCP')
    .option('--ip-version <4|6>', "else that of the destination's first address")
    .option('--timeout <duration>', 'how long silence is waited out', '1s')
    .option('--against-policy', 'compare with what the compiled policy says; exit 8 where they differ')
    .addOption(jsonOption())
    .option('--lab <folder>', 'the lab; else MUSLIN_LAB or .lab in the clone')
    .action((options: ProbeOptions) => probe(options, io));
}

async function probe(options: ProbeOptions, io: Io): Promise<void> {
  const { findLab, placeOfLab } = await import('../place.ts');
  const { runningPods, storedResources } = await import('../lab-view.ts');
  const { probePairs } = await import('../../lab/pairs.ts');
  const { layout, spec } = findLab(options, io);
  const stored = await storedResources(placeOfLab(layout, spec), io);
  const pods = runningPods(stored);
  const results = await probePairs(layout, pods, await pairOptions(options));
  const expected = options.againstPolicy ? await expectations(stored, results, spec) : null;
  if (options.output === 'json') io.out(`${JSON.stringify(withExpectations(results, expected), null, 2)}\n`);
  else
    await print(
      results,
      expected,
      pods.map(({ namespace, name }) => `${namespace}/${name}`),
      io,
    );
  if (!expected) return;
  const differing = results.filter((result, i) => result.allowed !== expected[i]).length;
  if (differing === 0) return io.note(`packets and policy agree on all ${results.length} pairs`);
  io.note(`packets and policy differ on ${differing} of ${results.length} pairs`);
  throw new Told(exitCodes.problems);
}

async function pairOptions(options: ProbeOptions): Promise<PairOptions> {
  const { UsageError } = await import('../../lib/errors.ts');
  const { parseDurationMs } = await import('../duration.ts');
  const protocol = options.protocol.toUpperCase();
  if (protocol !== 'TCP' && protocol !== 'UDP' && protocol !== 'ICMP') {
    throw new UsageError(`--protocol: got ${options.protocol}, want TCP, UDP or ICMP`);
  }
  const port = Number(options.port ?? 80);
  if (!Number.isInteger(port) || port < 1 || port > 65535)
    throw new UsageError(`--port: got ${options.port}, want 1 to 65535`);
  const family = options.ipVersion;
  if (family !== undefined && family !== '4' && family !== '6')
    throw new UsageError(`--ip-version: got ${family}, want 4 or 6`);
  return {
    protocol,
    timeoutMs: parseDurationMs(options.timeout, '--timeout'),
    ...(options.from === undefined ? {} : { from: options.from }),
    ...(options.to === undefined ? {} : { to: options.to }),
    ...(options.port === undefined ? {} : { port }),
    ...(family === undefined ? {} : { ipVersion: family === '4' ? 4 : 6 }),
  };
}

async function expectations(
  stored: readonly import('../../contract/datastore.ts').Stored[],
  results: readonly PairResult[],
  spec: import('../../lab/spec.ts').LabSpec,
): Promise<readonly boolean[]> {
  const { compiledCluster, labKnowledge } = await import('../lab-view.ts');
  const { explainBetween } = await import('../evaluators/policy-eval.ts');
  const cluster = compiledCluster(stored, labKnowledge(spec));
  return results.map(({ from, to, address, port, protocol }) => {
    const ipVersion = address.includes(':') ? 6 : 4;
    const name = protocol === 'ICMP' && ipVersion === 6 ? 'ICMPv6' : protocol;
    return explainBetween(cluster, { from, to, port, protocol: name, ipVersion }).allowed;
  });
}

function withExpectations(
  results: readonly PairResult[],
  expected: readonly boolean[] | null,
): readonly object[] {
  return expected ? results.map((result, i) => ({ ...result, policyAllows: expected[i] })) : results;
}

async function print(
  results: readonly PairResult[],
  expected: readonly boolean[] | null,
  names: readonly string[],
  io: Io,
): Promise<void> {
  const { matrixText } = await import('../matrix.ts');
  const { tableText } = await import('../table.ts');
  const asSquare = names.length > 1 && results.length === names.length * (names.length - 1);
  if (!asSquare) {
    const header = [
      'FROM',
      'TO',
      'ADDRESS',
      'PORT',
      'PROTOCOL',
      'REACHED',
      'MS',
      ...(expected ? ['POLICY'] : []),
      'NOTE',
    ];
    const rows = results.map((result, i) => rowOf(result, expected ? (expected[i] ?? false) : null));
    return io.out(tableText([header, ...rows]));
  }
  const byPair = new Map(
    results.map((result, i) => [`${result.from} ${result.to}`, { result, expected: expected?.[i] }]),
  );
  const pair = (from: number, to: number) => byPair.get(`${names[from]} ${names[to]}`);
  const square = (
    title: string,
    reached: (found: NonNullable<ReturnType<typeof pair>>) => boolean | undefined,
  ): Square => ({
    title,
    field: (from, to) => {
      const found = pair(from, to);
      if (!found) return from === to ? 'same' : 'none';
      return reached(found) ? 'yes' : 'no';
    },
  });
  const measured = square('measured with packets', ({ result }) => result.allowed);
  io.out(
    matrixText(
      names,
      expected ? [measured, square('compiled policy', (found) => found.expected)] : [measured],
    ),
  );
}

function rowOf(result: PairResult, expected: boolean | null): readonly string[] {
  const { from, to, address, port, protocol, allowed, milliseconds, note } = result;
  const policy =
    expected === null ? [] : [`${expected ? 'allows' : 'denies'}${expected === allowed ? '' : ' (differs)'}`];
  const measured = [from, to, address, port === null ? '-' : String(port), protocol, allowed ? 'yes' : 'no'];
  return [...measured, milliseconds === null ? '-' : String(milliseconds), ...policy, note ?? ''];
}
