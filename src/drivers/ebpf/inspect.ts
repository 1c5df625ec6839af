// SPDX-License-Identifier: Apache-2.0
/**
 * What people ask of the maps, answered with names (contract/inspect.ts). Each answer reads the kernel, not what was wanted of it.
 *
 * Invariants: reads alone. A long map is read in portions, with other work of the driver between them.
 */
import type { Inspection, InspectionAnswer } from '../../contract/inspect.ts';
import { assertNever } from '../../lib/errors.ts';
import { countersAnswer } from './inspect-counters.ts';
import { conntrackAnswer } from './inspect-flows.ts';
import { linksAnswer } from './inspect-links.ts';
import { policyAnswer } from './inspect-policies.ts';
import { routesAnswer } from './inspect-routes.ts';
import { natAnswer } from './inspect-services.ts';
import { ipSetAnswer, ipSetsAnswer } from './inspect-sets.ts';
import type { Inspected } from './inspected.ts';

/** @throws {NotFoundError} {InvalidError} */
export async function inspect(of: Inspected, question: Inspection): Promise<InspectionAnswer> {
  switch (question.kind) {
    case 'conntrack':
      return conntrackAnswer(of, question);
    case 'nat':
      return natAnswer(of, question);
    case 'routes':
      return routesAnswer(of, question);
    case 'ipsets':
      return ipSetsAnswer(of, question.limit);
    case 'ipset':
      return ipSetAnswer(of, question);
    case 'counters':
      return countersAnswer(of, question.limit);
    case 'policy':
      return policyAnswer(of, question);
    case 'links':
      return linksAnswer(of, question);
    default:
      return assertNever(question);
  }
}
