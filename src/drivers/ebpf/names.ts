// SPDX-License-Identifier: Apache-2.0
/** 64-bit names by which programs and maps know rules and sets: the same in every process that means the same. */
import { hash } from 'node:crypto';

/** The first eight bytes of the text's SHA-256, in that order in memory. */
function nameOf(text: string): bigint {
  return hash('sha256', text, 'buffer').readBigUInt64LE();
}

/** @param comment - of the chain rule that ends or logs: `Kind/namespace/policy ingress rule 3`. */
export function ruleId(comment: string): bigint {
  return nameOf(comment);
}

/** @param description - canonical text of what the set holds. */
export function setId(description: string): bigint {
  return nameOf(description);
}

/** @param path - of a workload or host endpoint. */
export function endpointId(path: string): bigint {
  return nameOf(path);
}

/** @param description - service, kind, address, port and protocol. */
export function frontendId(description: string): bigint {
  return nameOf(description);
}
