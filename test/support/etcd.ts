// SPDX-License-Identifier: Apache-2.0
/**
 * Real etcd servers in a temporary folder, of one member or three: clients come by Unix socket, or by TLS on loopback. Each can be
 * killed, frozen, compacted, restored from a snapshot, and (three of them, in a network namespace of their own) cut off.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { EtcdConfig, TlsConfig } from '../../src/datastore/config.ts';
import { EtcdStore } from '../../src/datastore/etcd/store.ts';
import { Secret } from '../../src/lib/secret.ts';

export interface EtcdOptions {
  /** @defaultValue 1 */
  readonly members?: 1 | 3;
  /** Client certificates are wanted. */
  readonly isTls?: boolean;
  /** Members can be cut off from each other: needs root. */
  readonly isPartitionable?: boolean;
  /** What is answered is on the disk: for benchmarks. What survives a killed server does so in the page cache. */
  readonly isDurable?: boolean;
}

/** Of users from here on are the members that nftables tells apart. */
const firstUid = 61_000;
const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

export class EtcdMember {
  readonly name: string;
  readonly peerPort: number;
  readonly endpoint: string;
  readonly #command: readonly string[];
  readonly #folder: string;
  #child: ChildProcess | null = null;

  constructor(name: string, peerPort: number, endpoint: string, folder: string, command: readonly string[]) {
    this.name = name;
    this.peerPort = peerPort;
    this.endpoint = endpoint;
    this.#folder = folder;
    this.#command = command;
  }

  start(): void {
    rmSync(join(this.#folder, `${this.name}:1`), { force: true }); // a killed server leaves its socket
    const [program = '', ...args] = this.#command;
    const log = openSync(join(this.#folder, `${this.name}.log`), 'a');
    const child = spawn(program, args, { cwd: this.#folder, stdio: ['ignore', log, log] });
    running.add(child);
    child.once('exit', () => running.delete(child));
    this.#child = child;
  }

  signal(name: 'SIGSTOP' | 'SIGCONT'): void {
    this.#child?.kill(name);
  }

  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
}

export class EtcdCluster implements AsyncDisposable {
  readonly folder: string;
  readonly members: readonly EtcdMember[];
  readonly #tls: TlsConfig | null;
  /** Of the process that holds the members' network namespace. */
  readonly #network: ChildProcess | null;
  #user: { readonly username: string; readonly password: Secret } | null = null;

  private constructor(
    folder: string,
    members: readonly EtcdMember[],
    tls: TlsConfig | null,
    network: ChildProcess | null,
  ) {
    this.folder = folder;
    this.members = members;
    this.#tls = tls;
    this.#network = network;
  }

  static async start(options: EtcdOptions = {}): Promise<EtcdCluster> {
    const folder = mkdtempSync(join(tmpdir(), 'muslin-etcd-'));
    chmodSync(folder, 0o755);
    const network = options.isPartitionable ? await makeNetwork() : null;
    const tls = options.isTls ? makeCertificates(folder) : null;
    const members = await makeMembers(folder, options, network?.pid);
    const cluster = new EtcdCluster(folder, members, tls, network);
    for (const member of members) member.start();
    await cluster.ready();
    return cluster;
  }

  get config(): EtcdConfig {
    return this.#configOf(this.members.map(({ endpoint }) => endpoint));
  }

  #configOf(endpoints: readonly string[]): EtcdConfig {
    return {
      type: 'etcd',
      endpoints,
      ...(this.#tls ? { tls: this.#tls } : {}),
      ...(this.#user ?? {}),
    };
  }

  /** @param endpoints - others than the members' own, as of relays before them. */
  open(endpoints: readonly string[] = this.config.endpoints): EtcdStore {
    return new EtcdStore(this.#configOf(endpoints));
  }

  async ready(): Promise<void> {
    for (let tries = 1; ; tries++) {
      await using store = this.open();
      try {
        await store.position([]);
        return;
      } catch (error) {
        if (tries === 100) throw new Error(`etcd does not come up: ${this.log()}`, { cause: error });
        await delay(50);
      }
    }
  }

  /** The last lines of the first member's. */
  log(): string {
    const file = join(this.folder, `${this.members[0]?.name}.log`);
    return existsSync(file) ? readFileSync(file, 'utf8').slice(-1000) : '';
  }

  async restart(): Promise<void> {
    await Promise.all(this.members.map((member) => member.kill()));
    for (const member of this.members) member.start();
    await this.ready();
  }

  etcdctl(...args: string[]): string {
    const user = this.#user ? [`--user=${this.#user.username}:${this.#user.password.reveal()}`] : [];
    const endpoints = this.members.map(({ endpoint }) => endpoint).join(',');
    return execFileSync('etcdctl', [...this.#tlsArgs(), ...user, `--endpoints=${endpoints}`, ...args], {
      encoding: 'utf8',
      env: { ...process.env, ETCDCTL_API: '3' },
      cwd: this.folder,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  }

  /** Away with the history before now. */
  async compact(): Promise<void> {
    await using store = this.open();
    this.etcdctl('compaction', await store.position([]));
  }

  /** `root`, and `muslin`, who may read and write what is Calico's. */
  enableUsers(password: string): void {
    const root = 'root-password';
    this.etcdctl('user', 'add', `root:${root}`);
    this.etcdctl('user', 'grant-role', 'root', 'root');
    this.etcdctl('role', 'add', 'calico');
    this.etcdctl('role', 'grant-permission', '--prefix=true', 'calico', 'readwrite', '/calico/');
    this.etcdctl('user', 'add', `muslin:${password}`);
    this.etcdctl('user', 'grant-role', 'muslin', 'calico');
    this.etcdctl('auth', 'enable');
    this.#user = { username: 'muslin', password: new Secret(password) };
  }

  async leader(): Promise<EtcdMember> {
    for (;;) {
      const rows = JSON.parse(this.etcdctl('endpoint', 'status', '-w', 'json')) as {
        Endpoint: string;
        Status: { leader: number; header: { member_id: number } };
      }[];
      const row = rows.find(({ Status }) => Status.leader === Status.header.member_id);
      const member = this.members.find(({ endpoint }) => endpoint === row?.Endpoint);
      if (member) return member;
      await delay(100);
    }
  }

  /** No packet from it reaches another member, and none it. */
  cutOff(member: EtcdMember): void {
    const uid = firstUid + this.members.indexOf(member);
    this.#nft('add table inet cut');
    this.#nft('add chain inet cut out { type filter hook output priority 0; }');
    this.#nft(`add rule inet cut out meta skuid ${uid} drop`);
    this.#nft(`add rule inet cut out tcp dport ${member.peerPort} drop`);
  }

  heal(): void {
    this.#nft('delete table inet cut');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.members.map((member) => member.kill()));
    this.#network?.kill('SIGKILL');
    rmSync(this.folder, { recursive: true, force: true });
  }

  #nft(command: string): void {
    execFileSync('nsenter', ['-t', String(this.#network?.pid), '-n', 'nft', command]);
  }

  #tlsArgs(): string[] {
    if (!this.#tls) return [];
    return ['ca', 'client', 'client-key'].map((name, i) => {
      const flag = ['cacert', 'cert', 'key'][i];
      return `--${flag}=${join(this.folder, `${name}.pem`)}`;
    });
  }
}

async function makeNetwork(): Promise<ChildProcess> {
  const child = spawn('unshare', ['-n', 'sh', '-c', 'ip link set lo up && echo up && exec sleep 3600'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  running.add(child);
  if (child.stdout) await once(child.stdout, 'data');
  return child;
}

async function makeMembers(
  folder: string,
  { members = 1, isTls = false, isDurable = false }: EtcdOptions,
  networkPid: number | undefined,
): Promise<EtcdMember[]> {
  const names = Array.from({ length: members }, (_, i) => `m${i}`);
  const ports = await Promise.all(names.flatMap(() => [freePort(), freePort()]));
  const portsOf = (i: number) => ({ client: ports[2 * i] ?? 0, peer: ports[2 * i + 1] ?? 0 });
  const peers = names.map((name, i) => `${name}=http://127.0.0.1:${portsOf(i).peer}`).join(',');
  return names.map((name, i) => {
    const { client, peer } = portsOf(i);
    const url = isTls ? `https://127.0.0.1:${client}` : `unix://${name}:1`;
    const speed = isDurable ? [] : ['--unsafe-no-fsync'];
    const args = [...argsOf(name, url, peer, peers), ...speed, ...(isTls ? tlsServerArgs(folder) : [])];
    const endpoint = isTls ? url : `unix://${folder}/${name}:1`;
    return new EtcdMember(name, peer, endpoint, folder, commandOf(folder, name, args, networkPid, i));
  });
}

function argsOf(name: string, url: string, peerPort: number, peers: string): string[] {
  return [
    `--name=${name}`,
    `--data-dir=data-${name}`,
    `--listen-client-urls=${url}`,
    `--advertise-client-urls=${url}`,
    `--listen-peer-urls=http://127.0.0.1:${peerPort}`,
    `--initial-advertise-peer-urls=http://127.0.0.1:${peerPort}`,
    `--initial-cluster=${peers}`,
    '--heartbeat-interval=50',
    '--election-timeout=500',
    '--logger=zap',
    '--log-level=warn',
  ];
}

function commandOf(
  folder: string,
  name: string,
  args: readonly string[],
  networkPid: number | undefined,
  index: number,
): string[] {
  if (networkPid === undefined) return ['etcd', ...args];
  const uid = firstUid + index;
  mkdirSync(join(folder, `data-${name}`), { mode: 0o700 });
  execFileSync('chown', [String(uid), join(folder, `data-${name}`)]);
  chmodSync(folder, 0o777);
  const user = ['setpriv', `--reuid=${uid}`, '--clear-groups'];
  return ['nsenter', '-t', String(networkPid), '-n', ...user, 'etcd', ...args];
}

function tlsServerArgs(folder: string): string[] {
  return [
    '--client-cert-auth=true',
    `--trusted-ca-file=${join(folder, 'ca.pem')}`,
    `--cert-file=${join(folder, 'server.pem')}`,
    `--key-file=${join(folder, 'server-key.pem')}`,
  ];
}

/** A certificate authority, a server and a client of it. */
function makeCertificates(folder: string): TlsConfig {
  const openssl = (command: string) =>
    execFileSync('openssl', command.split(' '), { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
  const key = 'req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -batch -days 2';
  openssl(`${key} -x509 -keyout ca-key.pem -out ca.pem -subj /CN=test-ca`);
  for (const name of ['server', 'client']) {
    const address = '-addext subjectAltName=IP:127.0.0.1 -addext extendedKeyUsage=serverAuth,clientAuth';
    openssl(
      `${key} -x509 -CA ca.pem -CAkey ca-key.pem -keyout ${name}-key.pem -out ${name}.pem -subj /CN=${name} ${address}`,
    );
  }
  const read = (name: string) => readFileSync(join(folder, `${name}.pem`), 'utf8');
  return { ca: read('ca'), cert: read('client'), key: new Secret(read('client-key')) };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  return typeof address === 'object' && address ? address.port : 0;
}
