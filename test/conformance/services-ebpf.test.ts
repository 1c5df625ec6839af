// SPDX-License-Identifier: Apache-2.0
import { EbpfDriver } from '../../src/drivers/ebpf/driver.ts';
import { servicesConformance } from './services.ts';

servicesConformance('ebpf', (options) => new EbpfDriver(options));
