// SPDX-License-Identifier: Apache-2.0
/**
 * A small HTTP server on every health check node port: load balancers ask there whether this node has an endpoint of the
 * service, and leave it out while it has none.
 *
 * @see kubernetes pkg/proxy/healthcheck/service_health.go: the answer, its header and its codes
 */
import { createServer, type Server, type ServerResponse } from 'node:http';
import { keyPath } from '../model/kinds.ts';
import type { ResourceFaults } from '../services/graph.ts';
import type { HealthCheck } from '../services/health-check.ts';
import type { Log } from './log.ts';

interface Listening {
  readonly server: Server;
  check: HealthCheck;
}

export class HealthChecks implements Disposable {
  readonly #log: Log;
  readonly #isServing: () => boolean;
  readonly #listening = new Map<number, Listening>();
  readonly #faults = new Map<number, ResourceFaults>();

  /** @param isServing - whether the data plane is in order; no node is answered for that is not. */
  constructor(isServing: () => boolean, log: Log) {
    this.#isServing = isServing;
    this.#log = log;
  }

  /** Exactly these from now on. A port that was taken is tried again. */
  serve(checks: readonly HealthCheck[]): void {
    const wanted = new Map(checks.map((check) => [check.port, check]));
    for (const port of [...this.#listening.keys(), ...this.#faults.keys()])
      if (!wanted.has(port)) this.#close(port);
    for (const check of checks) {
      const found = this.#listening.get(check.port);
      if (found) found.check = check;
      else this.#listen(check);
    }
  }

  /** Ports that could not be had. */
  faults(): readonly ResourceFaults[] {
    return [...this.#faults.values()];
  }

  [Symbol.dispose](): void {
    this.serve([]);
  }

  #listen(check: HealthCheck): void {
    const { port } = check;
    const server = createServer((_, response) => this.#answer(port, response));
    this.#listening.set(port, { server, check });
    server.once('error', (error) => this.#onError(check, error));
    server.once('listening', () => this.#faults.delete(port));
    server.listen(port); // without a host: every address of both families
  }

  #onError(check: HealthCheck, error: Error): void {
    const { namespace, name, port } = check;
    this.#listening.delete(port);
    const path = keyPath({ kind: 'Service', namespace, name });
    const message = `cannot answer on port ${port}: ${error.message}`;
    this.#faults.set(port, { path, faults: [{ path: 'spec.healthCheckNodePort', message }] });
    this.#log.warn(
      { service: `${namespace}/${name}`, port, err: error },
      'no health check for the load balancer',
    );
  }

  #close(port: number): void {
    const found = this.#listening.get(port);
    this.#listening.delete(port);
    this.#faults.delete(port);
    found?.server.close();
    found?.server.closeAllConnections();
  }

  #answer(port: number, response: ServerResponse): void {
    const check = this.#listening.get(port)?.check;
    if (!check) return void response.writeHead(503).end();
    const { namespace, name, localEndpoints } = check;
    const serviceProxyHealthy = this.#isServing();
    response.writeHead(localEndpoints > 0 && serviceProxyHealthy ? 200 : 503, {
      'content-type': 'application/json',
      'x-content-type-options': 'nosniff',
      'x-load-balancing-endpoint-weight': String(localEndpoints),
    });
    response.end(JSON.stringify({ service: { namespace, name }, localEndpoints, serviceProxyHealthy }));
  }
}
