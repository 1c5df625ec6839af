// SPDX-License-Identifier: Apache-2.0
import { EbpfDriver } from '../../src/drivers/ebpf/driver.ts';
import { servicesConformance } from './services.ts';
import { serviceFlows } from './services-flows.ts';
import { servicePolicy } from './services-policy.ts';
import { serviceRules } from './services-rules.ts';
import { serviceWire } from './services-wire.ts';

servicesConformance('ebpf', (options) => new EbpfDriver(options));
serviceRules('ebpf', (options) => new EbpfDriver(options));
serviceFlows('ebpf', (options) => new EbpfDriver(options));
serviceWire('ebpf', (options) => new EbpfDriver(options));
servicePolicy('ebpf', (options) => new EbpfDriver(options));
