// SPDX-License-Identifier: Apache-2.0
/** What commands do on a Kubernetes store alone: its word on a dry run, managers of fields, finalizers. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { CliSession } from '../../test/support/cli-session.ts';
import { TestCluster } from '../../test/support/kubernetes.ts';

const name = 'tier.projectcalico.org';
const tier = (called: string, order: number, more = '') =>
  `{apiVersion: projectcalico.org/v3, kind: Tier, metadata: {name: ${called}${more}}, spec: {order: ${order}}}\n`;

describe('on a Kubernetes store', () => {
  const files = new CliSession();
  let cluster: TestCluster;
  let cli: CliSession;
  before(async () => {
    cluster = await TestCluster.start();
    const kubeconfig = files.write('kubeconfig', cluster.server.adminKubeconfig());
    cli = new CliSession({
      MUSLIN_DATASTORE: undefined,
      DATASTORE_TYPE: 'kubernetes',
      KUBECONFIG: kubeconfig,
    });
  });
  after(async () => {
    cli[Symbol.dispose]();
    files[Symbol.dispose]();
    await cluster[Symbol.asyncDispose]();
  });

  const orderOf = async (called: string) =>
    (await cli.run(['get', 'tier', called, '-o', 'jsonpath={.spec.order}'])).out;

  test('apply, create, replace, patch, label, get and delete', async () => {
    const run = async (words: readonly string[], stdin = '') => (await cli.run(words, stdin)).out;
    assert.equal(await run(['apply', '-f', '-'], tier('a', 5)), `${name}/a created\n`);
    assert.equal(await run(['apply', '-f', '-'], tier('a', 5)), `${name}/a unchanged\n`);
    assert.equal(await run(['replace', '-f', '-'], tier('a', 6)), `${name}/a replaced\n`);
    assert.equal(await run(['patch', 'tier', 'a', '-p', '{"spec":{"order":7}}']), `${name}/a patched\n`);
    assert.equal(await run(['label', 'tier', 'a', 'x=y']), `${name}/a labeled\n`);
    assert.equal(await orderOf('a'), '7');
    assert.equal(await run(['delete', 'tiers', '-l', 'x=y']), `${name}/a deleted\n`);
  });

  test("a server's dry run is refused by the server's own rules, and answers what it would store", async () => {
    const account = '{apiVersion: v1, kind: ServiceAccount, metadata: {name: s, namespace: default}}';
    const tried = await cli.run(
      ['create', '-f', '-', '--dry-run=server', '-o', 'jsonpath={.metadata.uid}'],
      account,
    );
    assert.equal(tried.code, 2, 'no such form of writes');
    const shown = await cli.run(['create', '-f', '-', '--dry-run=server', '-o', 'yaml'], account);
    assert.match(shown.out, /uid: /);
    assert.equal((await cli.run(['get', 'sa', 's'])).code, 3);
    const lost = tier('b', 5, ', ownerReferences: [{apiVersion: v1, kind: Pod, name: p}]');
    const [client, server] = [
      await cli.run(['create', '-f', '-', '--dry-run=client'], lost),
      await cli.run(['create', '-f', '-', '--dry-run=server'], lost),
    ];
    assert.equal(client.code, 0);
    assert.equal(server.code, 5, 'an owner without a uid, which only the server knows to refuse');
    assert.equal((await cli.run(['get', 'tier', 'b'])).code, 3);
  });

  test('--server-side: fields have managers; another manager is a conflict until forced', async () => {
    const apply = (order: number, ...flags: readonly string[]) =>
      cli.run(['apply', '-f', '-', '--server-side', ...flags], tier('ssa', order));
    assert.equal((await apply(5)).out, `${name}/ssa serverside-applied\n`);
    const refused = await apply(6, '--field-manager', 'other');
    assert.equal(refused.code, 4);
    assert.match(refused.notes.join(), /conflict.*muslin/s);
    assert.equal(await orderOf('ssa'), '5');
    const tried = await apply(6, '--field-manager=other', '--force-conflicts', '--dry-run=server');
    assert.equal(tried.out, `${name}/ssa serverside-applied (server dry run)\n`);
    assert.equal(await orderOf('ssa'), '5');
    assert.equal((await apply(6, '--field-manager=other', '--force-conflicts')).code, 0);
    assert.equal(await orderOf('ssa'), '6');
  });

  test('--server-side after apply: a pod that was bound meanwhile stays where it is', async () => {
    const node = '{apiVersion: v1, kind: Node, metadata: {name: n1}}';
    const pod = '{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: [{name: m, image: i}]}}';
    const account = '{apiVersion: v1, kind: ServiceAccount, metadata: {name: default}}';
    assert.equal((await cli.run(['apply', '-f', '-'], account)).code, 0);
    assert.equal((await cli.run(['apply', '-f', '-'], `${node}\n---\n${pod}`)).code, 0);
    const bind = ['patch', 'pod', 'p', '-p', '{"spec":{"nodeName":"n1"}}'];
    assert.equal((await cli.run(bind)).code, 0);
    assert.equal((await cli.run(['apply', '-f', '-'], pod)).code, 0);
    const { code, notes } = await cli.run(['apply', '-f', '-', '--server-side'], pod);
    assert.equal(code, 0, notes.join());
    assert.equal((await cli.run(['get', 'pod', 'p', '-o', 'jsonpath={.spec.nodeName}'])).out, 'n1');
  });

  test('delete waits until finalizers are done, and says what keeps an object', async () => {
    await cli.run(['apply', '-f', '-'], tier('kept', 5, ', finalizers: [example.com/keep]'));
    const late = await cli.run(['delete', 'tier', 'kept', '--timeout', '200ms']);
    assert.equal(late.code, 9);
    assert.match(late.notes.join(), /not gone after 200 ms: .*kept \(finalizers example\.com\/keep\)/);
    assert.equal((await cli.run(['delete', 'tier', 'kept', '--wait=false'])).code, 0);
    const deleting = cli.run(['delete', 'tier', 'kept']);
    const patch = [
      'patch',
      'tier',
      'kept',
      '-t',
      'json',
      '-p',
      '[{"op":"remove","path":"/metadata/finalizers"}]',
    ];
    assert.equal((await cli.run(patch)).code, 0);
    assert.equal((await deleting).code, 0);
    assert.equal((await cli.run(['get', 'tier', 'kept'])).code, 3);
  });

  test('a server that is not there ends with 6', async () => {
    const words = ['get', 'tiers', '--kubeconfig', join(cli.folder, 'none')];
    assert.equal((await cli.run(words)).code, 3, 'no such file');
    await cluster.down();
    assert.equal((await cli.run(['get', 'tiers'])).code, 6);
    await cluster.up();
  });
});
