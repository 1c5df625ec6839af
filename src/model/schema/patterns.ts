// SPDX-License-Identifier: Apache-2.0
/**
 * The patterns that schemas name. Two of Calico's repeat within a repetition, which takes RE2 no longer and JavaScript
 * for ever: those are written here as the same language without it.
 */
export const patterns = {
  duration: '^([0-9]+(\\.[0-9]+)?(ms|s|m|h))*$',
  /** `ms` is read as `m` and `s`: it may be, as units follow each other freely. */
  conntrackTimeout: '^(([0-9]*(\\.[0-9]*)?(us|s|m|h))+|Auto)$',
  featureOverrides: '^([a-zA-Z0-9-_]+=(true|false|),)*([a-zA-Z0-9-_]+=(true|false|))?$',
  featureGates: '^([a-zA-Z0-9-_]+=[^=]+,)*([a-zA-Z0-9-_]+=[^=]+)?$',
  rateLimit: '^[1-9][0-9]{0,3}/(second|minute|hour|day)$',
  logPrefix: '^[a-zA-Z0-9%: /_-]*$',
  affinity: '^(host|virtual):[a-zA-Z0-9._-]+$',
  condition: '^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$',
  conditionType: '^([a-z0-9.-]{1,253}/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$',
} as const;
