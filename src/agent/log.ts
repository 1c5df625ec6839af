// SPDX-License-Identifier: Apache-2.0
/** The agent's log: one JSON object per line on standard output, synchronously, so that a crash loses nothing. */
import { destination, type Logger, pino, stdTimeFunctions } from 'pino';
import type { AgentConfig } from './config.ts';

export type Log = Logger;

export function openLog(config: Pick<AgentConfig, 'node' | 'logLevel'>): Log {
  const options = {
    level: config.logLevel,
    base: { node: config.node },
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (level: string) => ({ level }) },
  };
  return pino(options, destination({ dest: 1, sync: true }));
}
