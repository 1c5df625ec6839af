// SPDX-License-Identifier: Apache-2.0
/** Who may import whom, and why: DESIGN of the wall. ARCHITECTURE.md shows the same rows, compared here. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { test } from 'node:test';

interface Layer {
  readonly may: readonly string[];
  readonly why: string;
  /** No `node:*`, clock, randomness; hence it runs in a browser and in what-if. */
  readonly pure?: true;
}

const everything = [
  'lib',
  'model',
  'contract',
  'calc',
  'rules',
  'reconcile',
  'kernel',
  'drivers/linux',
  'drivers/nftables',
  'drivers/ebpf',
  'datastore',
  'apiserver',
  'services',
  'observe',
  'agent',
  'cli',
  'lab',
];

/** The longest folder that holds a file is its layer. */
const layers: { readonly [folder: string]: Layer } = {
  lib: { may: [], pure: true, why: 'everyone stands on it' },
  model: { may: ['lib'], pure: true, why: 'tests, the browser and explain run it unchanged' },
  'model/oracle': {
    may: ['lib', 'model/types', 'model/selector'],
    pure: true,
    why: 'a second opinion shares nothing with the first',
  },
  contract: {
    may: ['lib', 'model/types'],
    pure: true,
    why: 'the seams: both sides know them and nothing of each other',
  },
  calc: {
    may: ['lib', 'model', 'contract'],
    pure: true,
    why: 'a function of the present state; never knows a data plane',
  },
  rules: { may: ['lib', 'contract'], pure: true, why: 'one chain tree for every filter that walks chains' },
  reconcile: { may: ['lib', 'contract'], pure: true, why: 'one loop for every kernel table' },
  kernel: { may: ['lib'], why: 'one place to fake, to audit and to count system calls' },
  'drivers/linux': {
    may: ['lib', 'contract', 'rules', 'reconcile', 'kernel'],
    why: 'what every Linux data plane shares',
  },
  'drivers/nftables': {
    may: ['lib', 'contract', 'rules', 'reconcile', 'kernel', 'drivers/linux'],
    why: 'a data plane must be replaceable: it knows the messages and the kernel, nothing of who sends them',
  },
  'drivers/ebpf': {
    may: ['lib', 'contract', 'rules', 'reconcile', 'kernel', 'drivers/linux'],
    why: 'the same, and nothing of the other data planes either',
  },
  apiserver: {
    may: ['lib', 'model'],
    why: 'a server of its own: it answers requests, and knows nothing of who asks',
  },
  'apiserver/objects': {
    may: ['lib', 'model'],
    pure: true,
    why: 'the rules for objects are functions of objects; requests, clock and chance are outside',
  },
  datastore: { may: ['lib', 'model', 'contract'], why: 'whatever keeps the state behaves the same' },
  services: {
    may: ['lib', 'model', 'contract'],
    pure: true,
    why: 'a function of what is stored; never knows a data plane, nor the calculation graph',
  },
  observe: {
    may: ['lib', 'contract'],
    pure: true,
    why: 'it explains what the driver was given, from that alone',
  },
  agent: {
    may: [
      'lib',
      'model',
      'contract',
      'calc',
      'rules',
      'reconcile',
      'kernel',
      'drivers/linux',
      'drivers/nftables',
      'drivers/ebpf',
      'datastore',
      'services',
      'observe',
    ],
    why: 'it wires one node; commands and labs stand above it',
  },
  lab: {
    may: ['lib', 'model', 'contract', 'kernel', 'datastore', 'agent/status'],
    why: 'machines to play with; never inside a driver',
  },
  cli: {
    may: everything.filter((name) => !name.startsWith('drivers')),
    why: 'everything that a user asks for; never inside a driver',
  },
};

const root = new URL('../', import.meta.url).pathname;

function sources(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => join(entry.parentPath, entry.name));
}

interface Import {
  readonly from: string;
  /** Path from src, or the package's name. */
  readonly to: string;
  readonly isPackage: boolean;
  readonly typeOnly: boolean;
}

const importLine =
  /^(?:import|export)\s+(type\s+)?[^'"`;]*?from\s+'([^']+)'|import\(\s*'([^']+)'\s*\)|^import\s+'([^']+)'/gm;

function importsOf(file: string): Import[] {
  const from = relative(join(root, 'src'), file);
  return [...readFileSync(file, 'utf8').matchAll(importLine)].map((match) => {
    const target = match[2] ?? match[3] ?? match[4] ?? '';
    const isPackage = !target.startsWith('.');
    const to = isPackage ? target : relative(join(root, 'src'), join(dirname(file), target));
    return { from, to, isPackage, typeOnly: match[1] !== undefined };
  });
}

function layerOf(path: string): string | undefined {
  return Object.keys(layers)
    .filter((folder) => path.startsWith(`${folder}/`))
    .sort((a, b) => b.length - a.length)[0];
}

const isTest = (path: string) => path.endsWith('.test.ts') || path.startsWith('calc/states/');
const all = sources('src')
  .flatMap(importsOf)
  .filter(({ from }) => !isTest(from));

test('every folder imports only what its row allows', () => {
  const faults = all.flatMap(({ from, to, isPackage }) => {
    const layer = layerOf(from);
    if (isPackage || layer === undefined || to === '../package.json') return []; // whose version `--version` prints
    const rule = layers[layer];
    const allowed =
      to.startsWith(`${layer}/`) ||
      rule?.may.some((name) => to.startsWith(`${name}/`) || to === `${name}.ts`);
    return allowed
      ? []
      : [`${from} imports ${to}: ${layer} may import ${rule?.may.join(', ') || 'nothing'} (${rule?.why})`];
  });
  assert.deepEqual(faults, []);
});

test('pure folders import no node:*, and use neither clock nor randomness', () => {
  const faults = all.filter(({ from, to }) => layers[layerOf(from) ?? '']?.pure && to.startsWith('node:'));
  assert.deepEqual(faults, []);
  const impure =
    /\bDate\.now\(|new Date\(\)|Math\.random\(|\bsetTimeout\(|\bprocess\.[a-z]|performance\.now\(/;
  const files = sources('src').filter((file) => {
    const path = relative(join(root, 'src'), file);
    return layers[layerOf(path) ?? '']?.pure && !isTest(path) && impure.test(readFileSync(file, 'utf8'));
  });
  assert.deepEqual(files, []);
});

test('every source file stands in a folder of the table', () => {
  const strays = sources('src')
    .map((file) => relative(join(root, 'src'), file))
    .filter((path) => layerOf(path) === undefined);
  assert.deepEqual(strays, []);
});

test('no barrels, no cycles', () => {
  const files = sources('src').map((file) => relative(join(root, 'src'), file));
  assert.deepEqual(
    files.filter((path) => /(^|\/)index\.ts$/.test(path)),
    [],
  );
  const edges = Map.groupBy(
    all.filter((each) => !each.isPackage && !each.typeOnly),
    (each) => each.from,
  );
  assert.deepEqual(
    cycles(files, (path) => (edges.get(path) ?? []).map((each) => each.to)),
    [],
  );
});

/** Depth first; a path that comes back to a file on its way is a cycle. Lazy imports count too: they hide, but bind. */
function cycles(files: readonly string[], next: (path: string) => readonly string[]): string[] {
  const done = new Set<string>();
  const found: string[] = [];
  const visit = (path: string, way: readonly string[]) => {
    if (way.includes(path)) found.push([...way.slice(way.indexOf(path)), path].join(' -> '));
    if (done.has(path) || way.includes(path)) return;
    for (const target of next(path)) visit(target, [...way, path]);
    done.add(path);
  };
  for (const file of files) visit(file, []);
  return found;
}

test('ARCHITECTURE.md shows the same table', () => {
  const text = readFileSync(join(root, 'ARCHITECTURE.md'), 'utf8');
  const rows = Object.entries(layers).map(
    ([folder, { may, pure, why }]) =>
      `| \`src/${folder}\` | ${may === layers.cli?.may ? 'everything but drivers' : may.join(', ') || '-'} | ${pure ? 'yes' : ''} | ${why} |`,
  );
  const missing = rows.filter((row) => !text.includes(row));
  assert.deepEqual(missing, []);
});

test('the door file of each folder says what it owns', () => {
  const doors = [
    'model/types.ts',
    'model/oracle/oracle.ts',
    'contract/dataplane.ts',
    'contract/datastore.ts',
    'calc/graph.ts',
    'rules/chain.ts',
    'reconcile/apply-loop.ts',
    'kernel/sys/sys.ts',
    'kernel/netlink/socket.ts',
    'kernel/nft/model.ts',
    'kernel/rtnetlink/rtnetlink.ts',
    'kernel/guard.ts',
    'drivers/linux/node-network.ts',
    'drivers/nftables/driver.ts',
    'drivers/ebpf/driver.ts',
    'datastore/embedded/store.ts',
    'datastore/syncer.ts',
    'services/graph.ts',
    'observe/evaluate.ts',
    'agent/main.ts',
    'lab/daemon.ts',
    'cli/main.ts',
  ];
  const silent = doors.filter((door) => !/\* Owns: /.test(readFileSync(join(root, 'src', door), 'utf8')));
  assert.deepEqual(silent, []);
});

test('the packages that are installed are those of deps.txt: a new one is a visible line', () => {
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    packages: { [path: string]: { version?: string; dev?: boolean; optional?: boolean } };
  };
  const lines = Object.entries(lock.packages)
    .filter(([path, entry]) => path !== '' && !entry.optional)
    .map(
      ([path, entry]) =>
        `${path.replace(/^.*node_modules\//, '')} ${entry.version}${entry.dev ? ' (development)' : ''}`,
    );
  assert.equal(readFileSync(join(root, 'deps.txt'), 'utf8'), `${lines.sort().join('\n')}\n`);
});
