// SPDX-License-Identifier: Apache-2.0
/** Runs the API server until a signal ends it. */
import { renameSync, writeFileSync } from 'node:fs';
import { controllerNames } from '../apiserver/controllers/controllers.ts';
import { startApiServer } from '../apiserver/server.ts';
import type { Io } from './io.ts';

export interface ApiServerRun {
  readonly host: string;
  readonly port: number;
  readonly socket: string | undefined;
  readonly folder: string | undefined;
  readonly kubeconfig: string | undefined;
  readonly serviceCidrs: readonly string[];
  readonly nodePorts: { readonly first: number; readonly last: number };
  readonly controllers: boolean;
}

export async function serve(run: ApiServerRun, io: Io): Promise<void> {
  const { socket, folder, kubeconfig, controllers, ...others } = run;
  const server = await startApiServer({
    ...others,
    ...(socket === undefined ? {} : { socketPath: socket }),
    ...(folder === undefined ? {} : { folder }),
    controllers: controllers ? controllerNames : [],
  });
  if (kubeconfig !== undefined) writeWhole(kubeconfig, server.adminKubeconfig());
  io.note(`serving on ${server.url}${socket === undefined ? '' : ` and ${socket}`}`);
  await new Promise<void>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve());
  });
  await server.stop();
}

/** Whoever waits for the file reads all of it. */
function writeWhole(path: string, text: string): void {
  writeFileSync(`${path}.next`, text, { mode: 0o600 });
  renameSync(`${path}.next`, path);
}
