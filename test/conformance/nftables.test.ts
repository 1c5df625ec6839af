// SPDX-License-Identifier: Apache-2.0
import { NftablesDriver } from '../../src/drivers/nftables/driver.ts';
import { dataplaneConformance } from './dataplane.ts';

dataplaneConformance('nftables', (options) => new NftablesDriver(options));
