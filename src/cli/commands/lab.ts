// SPDX-License-Identifier: Apache-2.0
/** `muslin lab up|down|status|exec`: nodes and workloads as network namespaces of this machine. */
import { type Command, Option } from 'commander';
import type { DataplaneName } from '../../contract/config.ts';
import type { DatastoreName, LabFile, LabSpec } from '../../lab/spec.ts';
import { InvalidError } from '../../lib/errors.ts';
import { group, jsonOption, Told } from '../command.ts';
import { exitCodes } from '../exit.ts';
import type { Io } from '../io.ts';
import { registerProbe } from './probe.ts';

interface UpOptions {
  readonly file?: string;
  readonly nodes?: string;
  readonly dataplane?: DataplaneName;
  readonly datastore?: DatastoreName;
  readonly lab?: string;
}

interface LabOptions {
  readonly lab?: string;
  readonly output?: string;
}

const labOption = [
  '--lab <folder>',
  'where the lab keeps its files; else MUSLIN_LAB or .lab in the clone',
] as const;

export function register(program: Command, io: Io): void {
  const lab = group(program, 'lab', 'a network of namespaces on this machine');
  lab
    .command('up')
    .description('start a lab; three nodes unless the file or --nodes says otherwise')
    .option('-f, --file <lab.yaml>', 'nodes, pools, manifests and workloads')
    .option('--nodes <count>', 'how many nodes, whatever the file says')
    .addOption(
      new Option('--dataplane <name>', 'of every node, whatever the file says').choices(['nftables', 'ebpf']),
    )
    .addOption(
      new Option('--datastore <name>', 'what keeps its state, whatever the file says').choices([
        'embedded',
        'etcd',
        'kubernetes',
      ]),
    )
    .option(...labOption)
    .action((options: UpOptions) => up(options, io));
  lab
    .command('down')
    .description('end the lab and everything that it made')
    .option(...labOption)
    .action((options: LabOptions) => down(options, io));
  lab
    .command('status')
    .description('say how each node is; exit 8 when one is not ready or the process of the lab is gone')
    .option(...labOption)
    .addOption(jsonOption())
    .action((options: LabOptions) => status(options, io));
  lab
    .command('exec')
    .description('run a command in the network namespace of a pod, or of a node with node/NAME')
    .argument('<pod>', 'namespace/pod, or node/NAME')
    .argument('<command...>', 'after --')
    .option(...labOption)
    .action((pod: string, command: string[], options: LabOptions) => execIn(pod, command, options, io));
  lab
    .command('daemon', { hidden: true })
    .requiredOption('--dir <folder>')
    .action(async (options: { dir: string }) => {
      const { runLabDaemon } = await import('../../lab/daemon.ts');
      const { LabLayout } = await import('../../lab/layout.ts');
      await runLabDaemon(new LabLayout(options.dir));
    });
  registerProbe(lab, io);
}

async function up(options: UpOptions, io: Io): Promise<void> {
  await wantRoot();
  await wantKernel();
  const { isAbandoned, startLab } = await import('../../lab/control.ts');
  const { labSpec } = await import('../../lab/spec.ts');
  const { labLayout } = await import('../place.ts');
  const layout = labLayout(options, io);
  const file = await labFileOf(options);
  const manifests = await import('../lab-manifests.ts').then((module) =>
    module.labManifests(file, options.file, io),
  );
  const start = performance.now();
  const spec = labSpec(
    await nodesOf(options, file.nodes),
    file.pools,
    options.dataplane ?? file.dataplane,
    options.datastore ?? file.datastore,
  );
  await wantCgroups(spec);
  const { plural } = await import('../plural.ts');
  checkNodes(file, spec);
  if (isAbandoned(layout)) io.note(`a lab in ${layout.folder} was not ended: it is taken away first`);
  io.note(`starting ${plural(spec.nodes.length, 'node')} in ${layout.folder}`);
  await startLab(layout, spec);
  io.note(`nodes ready in ${Math.round(performance.now() - start)} ms`);
  if (manifests.length > 0) {
    const { applyResources } = await import('../apply-resources.ts');
    await applyResources(manifests, { lab: layout.folder }, io);
  }
  await status({ lab: layout.folder }, io);
}

/** A workload on a node that there is not would never run. */
function checkNodes(file: LabFile, spec: LabSpec): void {
  const names = spec.nodes.map((node) => node.name);
  const lost = file.workloads.filter(({ node }) => node !== undefined && !names.includes(node));
  const faults = lost.map(({ name, node }) => ({
    path: `workloads ${name}`,
    message: `got node ${JSON.stringify(node)}, want one of ${names.join(', ')}`,
  }));
  if (faults.length > 0) throw new InvalidError('workloads on nodes that there are not', faults);
}

async function labFileOf(options: UpOptions): Promise<LabFile> {
  const { parseLabFile } = await import('../../lab/spec.ts');
  if (options.file === undefined) return parseLabFile('', '');
  const { NotFoundError } = await import('../../lib/errors.ts');
  const { existsSync, readFileSync } = await import('node:fs');
  if (!existsSync(options.file)) throw new NotFoundError(`cannot read ${options.file}: no such file`);
  return parseLabFile(options.file, readFileSync(options.file, 'utf8'));
}

async function nodesOf(options: UpOptions, otherwise: readonly string[]): Promise<readonly string[]> {
  if (options.nodes === undefined) return otherwise;
  const { UsageError } = await import('../../lib/errors.ts');
  const { numberedNodes } = await import('../../lab/spec.ts');
  if (!/^[1-9]\d{0,2}$/.test(options.nodes))
    throw new UsageError(`--nodes: got ${options.nodes}, want a number from 1 to 200`);
  return numberedNodes(Number(options.nodes));
}

async function down(options: LabOptions, io: Io): Promise<void> {
  await wantRoot();
  const { stopLab } = await import('../../lab/control.ts');
  const { labLayout } = await import('../place.ts');
  const layout = labLayout(options, io);
  const { plural } = await import('../plural.ts');
  const ended = await stopLab(layout);
  const processes = ended.processes === 1 ? '1 process' : `${ended.processes} processes`;
  io.note(
    `ended ${processes}, removed ${plural(ended.namespaces, 'network namespace')} and ${layout.folder}`,
  );
}

async function status(options: LabOptions, io: Io): Promise<void> {
  const { labProcessProblem, labStatus } = await import('../../lab/control.ts');
  const { findLab } = await import('../place.ts');
  const { layout, spec } = findLab(options, io);
  const [rows, problem] = await Promise.all([labStatus(layout, spec), labProcessProblem(layout)]);
  if (options.output === 'json') io.out(`${JSON.stringify(rows, null, 2)}\n`);
  else {
    const { statusText } = await import('../status-text.ts');
    io.out(statusText(rows));
  }
  const { unbalancedServices } = await import('../unbalanced-services.ts');
  const { openStore, placeOfLab } = await import('../place.ts');
  await using store = await openStore(placeOfLab(layout, spec), io, { mayCreate: false });
  for (const note of await unbalancedServices(store, spec)) io.note(note);
  if (problem !== null) io.note(problem);
  if (problem !== null || rows.some((row) => row.agent?.ready !== true)) throw new Told(exitCodes.problems);
}

async function execIn(pod: string, command: readonly string[], options: LabOptions, io: Io): Promise<void> {
  await wantRoot();
  const { findLab, placeOfLab } = await import('../place.ts');
  const { NetNs, listNetns } = await import('../../kernel/netns.ts');
  const { NotFoundError } = await import('../../lib/errors.ts');
  const { layout, spec } = findLab(options, io);
  const [first = '', second, ...rest] = pod.split('/');
  const [namespace, name] = second === undefined ? ['default', first] : [first, second];
  if (namespace === '' || name === '' || rest.length > 0) {
    throw new InvalidError(
      `pod: got ${JSON.stringify(pod)}, want namespace/pod, a pod of namespace default, or node/NAME`,
    );
  }
  const isNode = namespace === 'node';
  const netnsName = isNode ? layout.nodeNetns(name) : layout.podNetns(namespace, name);
  if (!listNetns().includes(netnsName)) throw new NotFoundError(`${pod} does not run in this lab`);
  using netns = NetNs.open(netnsName);
  const [program = '', ...args] = command;
  const { nodeOfPod } = await import('../lab-view.ts');
  const { onNode } = await import('../../lab/node-cgroup.ts');
  const node = isNode ? name : await nodeOfPod(placeOfLab(layout, spec), namespace, name, io);
  const start = () => netns.spawn(program, args, { stdio: 'inherit' });
  const child = node === null ? start() : onNode(layout, node, start);
  const code = await new Promise<number>((resolve, reject) => {
    child.once('error', (error) => reject(new NotFoundError(`cannot run ${program}: ${error.message}`)));
    child.once('exit', (exit, signal) => resolve(exit ?? (signal ? 128 : 1)));
  });
  if (code !== 0) throw new Told(code);
}

/** eBPF leads sockets to backends by the control group of their process. */
async function wantCgroups({ dataplane }: LabSpec): Promise<void> {
  const { hasCgroups } = await import('../../kernel/cgroup.ts');
  const { UnsupportedError } = await import('../../lib/errors.ts');
  if (dataplane === 'ebpf' && !hasCgroups())
    throw new UnsupportedError('a lab with data plane ebpf wants cgroup v2, found it mounted nowhere');
}

/** Said before anything is made: the agents would say it too, each in its log. */
async function wantKernel(): Promise<void> {
  const { kernelAtLeast } = await import('../../kernel/release.ts');
  const { UnsupportedError } = await import('../../lib/errors.ts');
  if (!kernelAtLeast(6, 9))
    throw new UnsupportedError('a lab wants Linux 6.9 or later, found an older kernel (uname -r)');
}

async function wantRoot(): Promise<void> {
  const { UnsupportedError } = await import('../../lib/errors.ts');
  if (process.getuid?.() !== 0) throw new UnsupportedError('a lab makes network namespaces: want root');
}
