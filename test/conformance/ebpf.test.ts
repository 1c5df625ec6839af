// SPDX-License-Identifier: Apache-2.0
import { EbpfDriver } from '../../src/drivers/ebpf/driver.ts';
import { dataplaneConformance } from './dataplane.ts';

dataplaneConformance('ebpf', (options) => new EbpfDriver(options));
