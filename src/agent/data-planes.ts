// SPDX-License-Identifier: Apache-2.0
/** The data planes that this build has, by name. Loaded in the driver's worker alone. */
import type { DataplaneDriver } from '../contract/dataplane.ts';
import type { TranslatingDataplane } from '../contract/services.ts';
import { NftablesDriver } from '../drivers/nftables/driver.ts';
import { UnsupportedError } from '../lib/errors.ts';
import type { AgentConfig } from './config.ts';

/** One that balances services itself listens to translations; another leaves them to kube-proxy. */
type AgentDriver = DataplaneDriver & Partial<TranslatingDataplane>;

const constructors: {
  readonly [name in AgentConfig['dataplane']]?: new (
    config: AgentConfig,
  ) => AgentDriver;
} = {
  nftables: NftablesDriver,
};

/** In the network namespace of the calling thread, for good. @throws {UnsupportedError} {KernelError} */
export function newDriver(config: AgentConfig): AgentDriver {
  const { dataplane } = config;
  const Driver = constructors[dataplane];
  if (!Driver) {
    throw new UnsupportedError(
      `cannot run data plane ${dataplane}: this build has ${Object.keys(constructors).join(', ')}`,
    );
  }
  return new Driver(config);
}
