// SPDX-License-Identifier: Apache-2.0
/**
 * `muslin --ndjson policy eval` with a matrix: verdicts per second of 500 pods under 200 policies, the process's start,
 * its parsing and its printing included.
 *
 *     node bench/policy-eval.bench.ts [PODS] [POLICIES] [ROUNDS]
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { median, printTable } from './machine.ts';

const [pods = 500, policies = 200, rounds = 5] = process.argv.slice(2).map(Number);
const launcher = new URL('../muslin', import.meta.url).pathname;
const namespaces = Array.from({ length: 10 }, (_, i) => `ns${i}`);
const ports: readonly [number, string][] = [
  [80, 'TCP'],
  [81, 'TCP'],
  [53, 'UDP'],
  [8080, 'TCP'],
];

/** Half of the policies are Kubernetes', half Calico's; each selects by label, admits by label, namespace or address. */
function policy(i: number): object {
  const namespace = namespaces[i % namespaces.length];
  const app = `app${i % 25}`;
  const from = `app${(i * 7) % 25}`;
  const port = ports[i % ports.length]?.[0];
  if (i % 2 === 0) {
    const peers = [
      { podSelector: { matchLabels: { app: from } } },
      { namespaceSelector: { matchLabels: { team: `t${i % 3}` } } },
    ];
    const spec = {
      podSelector: { matchLabels: { app } },
      ingress: [{ from: peers, ports: [{ port, protocol: ports[i % ports.length]?.[1] }] }],
    };
    return {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata: { name: `p${i}`, namespace },
      spec,
    };
  }
  const rule = {
    action: i % 5 ? 'Allow' : 'Deny',
    protocol: 'TCP',
    source: { selector: `app == "${from}"` },
    destination: { ports: [port] },
  };
  const spec = {
    selector: `app == "${app}"`,
    order: i,
    types: ['Ingress', 'Egress'],
    ingress: [rule],
    egress: [{ action: 'Allow' }],
  };
  return {
    apiVersion: 'projectcalico.org/v3',
    kind: 'NetworkPolicy',
    metadata: { name: `p${i}`, namespace },
    spec,
  };
}

const request = {
  cluster: {
    namespaces: Object.fromEntries(namespaces.map((name, i) => [name, { team: `t${i % 3}` }])),
    pods: Array.from({ length: pods }, (_, i) => ({
      namespace: namespaces[i % namespaces.length],
      name: `pod${i}`,
      ip: `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`,
      labels: { app: `app${i % 25}` },
      ports: [{ name: 'http', port: 80, protocol: 'TCP' }],
    })),
  },
  policies: Array.from({ length: policies }, (_, i) => policy(i)),
  matrix: ports,
};

async function seconds(requests: number): Promise<number> {
  const start = performance.now();
  const child = spawn(launcher, ['--ndjson', 'policy', 'eval'], { stdio: ['pipe', 'pipe', 'inherit'] });
  let bytes = 0;
  child.stdout.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
  });
  child.stdin.end(`${JSON.stringify(request)}\n`.repeat(requests));
  const [code] = await once(child, 'close');
  if (code !== 0 || bytes < pods * pods)
    throw new Error(`policy eval ended with ${code} after ${bytes} bytes`);
  return (performance.now() - start) / 1000;
}

const verdicts = pods * pods * ports.length;
const one: number[] = [];
const ten: number[] = [];
for (let i = 0; i < rounds; i++) {
  one.push(await seconds(1));
  ten.push(await seconds(10));
}
const rate = (count: number, times: readonly number[]) =>
  `${Math.round((count * verdicts) / median(times)).toLocaleString('en')}`;
printTable(
  `policy eval as a filter: ${pods} pods, ${policies} policies, ${ports.length} ports, medians of ${rounds}`,
  [
    ['requests', 'seconds', 'verdicts', 'verdicts per second'],
    ['1', median(one), verdicts.toLocaleString('en'), rate(1, one)],
    ['10', median(ten), (10 * verdicts).toLocaleString('en'), rate(10, ten)],
  ],
);
