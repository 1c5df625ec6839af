// SPDX-License-Identifier: Apache-2.0
/** The data planes that this build has, by name. Loaded in the driver's worker alone. */
import type { DataplaneDriver } from '../contract/dataplane.ts';
import type { ObservedDataplane } from '../contract/flow.ts';
import type { InspectableDataplane } from '../contract/inspect.ts';
import type { TranslatingDataplane } from '../contract/services.ts';
import { EbpfDriver } from '../drivers/ebpf/driver.ts';
import { NftablesDriver } from '../drivers/nftables/driver.ts';
import type { AgentConfig } from './config.ts';

/** One that balances services itself listens to translations; another leaves them to kube-proxy. */
type AgentDriver = DataplaneDriver & Partial<TranslatingDataplane & InspectableDataplane & ObservedDataplane>;

const constructors: {
  readonly [name in AgentConfig['dataplane']]: new (
    config: AgentConfig,
  ) => AgentDriver;
} = {
  nftables: NftablesDriver,
  ebpf: EbpfDriver,
};

/** In the network namespace of the calling thread, for good. @throws {KernelError} {NotFoundError} */
export function newDriver(config: AgentConfig): AgentDriver {
  return new constructors[config.dataplane](config);
}
