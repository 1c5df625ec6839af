// SPDX-License-Identifier: Apache-2.0
/** `muslin test -f`: unit tests of policies, for CI: manifests and what must come of them, without cluster, lab or root. */
import type { Command } from 'commander';
import { jsonOption, Told } from '../command.ts';
import { exitCodes } from '../exit.ts';
import type { Io } from '../io.ts';

interface TestOptions {
  readonly file: readonly string[];
  readonly recursive?: boolean;
  readonly skipUnsupported?: boolean;
  readonly uplink?: string;
  readonly verbose?: boolean;
  readonly junit?: string;
  readonly output?: string;
}

export function register(program: Command, io: Io): void {
  program
    .command('test')
    .description(
      'check manifests against cases: which packets must be allowed, which denied, and by which policy',
    )
    .requiredOption('-f, --file <path...>', 'case files: file, directory or - (docs/testing-policies.md)')
    .option('-R, --recursive', 'also the directories below')
    .option('--skip-unsupported', 'leave out objects of kinds that are not read, and say so')
    .option('--uplink <name>', "the nodes' link to each other, where host endpoints do not say")
    .option('-v, --verbose', 'every case, not the failures alone')
    .option('--junit <file>', 'write JUnit XML too')
    .addOption(jsonOption())
    .action((options: TestOptions) => testPolicies(options, io));
}

async function testPolicies(options: TestOptions, io: Io): Promise<void> {
  const { runCaseFiles } = await import('../case-runner.ts');
  const { caseReport, junitXml } = await import('../case-report.ts');
  const started = performance.now();
  const results = runCaseFiles(options, io);
  const seconds = (performance.now() - started) / 1000;
  if (options.junit !== undefined) await write(options.junit, junitXml(results, seconds));
  const failed = results.filter(({ problems }) => problems.length > 0).length;
  if (options.output === 'json') {
    const cases = results.map((result) => ({ ...result, passed: result.problems.length === 0 }));
    io.out(`${JSON.stringify({ passed: results.length - failed, failed, cases }, null, 2)}\n`);
  } else io.out(caseReport(results, options.verbose ?? false));
  if (failed > 0) throw new Told(exitCodes.problems);
}

async function write(path: string, text: string): Promise<void> {
  const { writeFileSync } = await import('node:fs');
  const { UsageError } = await import('../../lib/errors.ts');
  try {
    writeFileSync(path, text);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error;
    throw new UsageError(`--junit ${path}: cannot be written: ${String(error.code)}`);
  }
}
