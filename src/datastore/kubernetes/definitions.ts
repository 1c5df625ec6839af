// SPDX-License-Identifier: Apache-2.0
/** Installs Calico's definitions in a cluster of our own; users of another apply manifests/crds.yaml. */
import { TimeoutError } from '../../lib/errors.ts';
import type { JsonObject } from '../../model/types.ts';
import type { KubernetesConfig } from '../config.ts';
import { clusterAccess } from './access.ts';
import { Connection } from './connection.ts';
import { refusalOf } from './refusal.ts';

const path = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const patienceMs = 10_000;

/** Those that are there already are made what they should be. @throws {UnavailableError} {TimeoutError} */
export async function installDefinitions(
  config: KubernetesConfig,
  definitions: readonly JsonObject[],
): Promise<void> {
  await using connection = new Connection(() => clusterAccess(config, process.env));
  for (const definition of definitions) await applied(connection, definition);
  await established(connection, definitions);
}

async function applied(connection: Connection, definition: JsonObject): Promise<void> {
  const { name } = definition.metadata as { name: string };
  const body = JSON.stringify(definition);
  const created = await connection.send({ method: 'POST', path, body });
  if (created.status === 201) return;
  if (created.status !== 409) throw refusalOf(`cannot define ${name}`, created);
  const merge = { contentType: 'application/merge-patch+json', body };
  const changed = await connection.send({ method: 'PATCH', path: `${path}/${name}`, ...merge });
  if (changed.status !== 200) throw refusalOf(`cannot define ${name}`, changed);
}

async function established(connection: Connection, definitions: readonly JsonObject[]): Promise<void> {
  const deadline = performance.now() + patienceMs;
  const groups = new Set(
    definitions.map(({ spec }) => spec as { group: string; versions: { name: string }[] }),
  );
  for (const { group, versions } of groups) {
    const groupPath = `/apis/${group}/${versions[0]?.name}`;
    while ((await connection.send({ method: 'GET', path: groupPath })).status !== 200) {
      if (performance.now() > deadline)
        throw new TimeoutError(`${groupPath} is not served after ${patienceMs} ms`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
