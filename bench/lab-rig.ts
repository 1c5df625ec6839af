// SPDX-License-Identifier: Apache-2.0
/** A lab in a temporary folder, for the benches that measure whole nodes. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Stored } from '../src/contract/datastore.ts';
import { EmbeddedStore } from '../src/datastore/embedded/store.ts';
import { startLab, stopLab, untilEnforced } from '../src/lab/control.ts';
import { LabLayout } from '../src/lab/layout.ts';
import { defaultPools, type LabSpec, labSpec, numberedNodes } from '../src/lab/spec.ts';
import type { Resource } from '../src/model/types.ts';

export class BenchLab implements AsyncDisposable {
  readonly layout: LabLayout;
  readonly spec: LabSpec;
  readonly store: EmbeddedStore;
  readonly #folder: string;

  private constructor(folder: string, spec: LabSpec) {
    this.#folder = folder;
    this.layout = new LabLayout(join(folder, 'lab'));
    this.spec = spec;
    this.store = new EmbeddedStore(this.layout.datastore);
  }

  static async start(nodes: number): Promise<BenchLab> {
    const folder = mkdtempSync(join(tmpdir(), 'muslin-bench-'));
    const spec = labSpec(numberedNodes(nodes), defaultPools);
    await startLab(new LabLayout(join(folder, 'lab')), spec);
    return new BenchLab(folder, spec);
  }

  /** Until all of it runs and every node enforces it. */
  async create(
    resources: readonly { kind: Stored['key']['kind']; resource: Resource }[],
  ): Promise<readonly Stored[]> {
    const stored = await this.store.writeAll(
      resources.map(({ kind, resource }) => {
        const { name, namespace } = resource.metadata;
        return {
          op: 'create',
          key: { kind, name, ...(namespace === undefined ? {} : { namespace }) },
          resource,
        };
      }),
    );
    await this.settle();
    return stored;
  }

  async settle(): Promise<void> {
    const { revision } = await this.store.snapshot();
    const { late } = await untilEnforced(this.layout, this.spec, revision, 60_000);
    if (late.length > 0) throw new Error(`not enforced: ${JSON.stringify(late)}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.store[Symbol.asyncDispose]();
    await stopLab(this.layout);
    rmSync(this.#folder, { recursive: true });
  }
}

export function pod(name: string, node: string | null, labels: { [key: string]: string }): Resource {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default', labels },
    spec: {
      containers: [{ name: 'main', image: 'echo', ports: [{ containerPort: 80 }] }],
      ...(node ? { nodeName: node } : {}),
    },
  };
}
