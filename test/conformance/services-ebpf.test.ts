// SPDX-License-Identifier: Apache-2.0
import { EbpfDriver } from '../../src/drivers/ebpf/driver.ts';
import { servicesConformance } from './services.ts';
import { serviceRules } from './services-rules.ts';

servicesConformance('ebpf', (options) => new EbpfDriver(options));
serviceRules('ebpf', (options) => new EbpfDriver(options));
