// SPDX-License-Identifier: Apache-2.0
/** An explanation as people read it: the verdict first, then in order of the way what was asked and what decided. */
import { assertNever } from '../lib/errors.ts';
import { protocolName } from '../lib/protocol.ts';
import { decidersOf } from '../observe/decider.ts';
import type { PolicyStep, ProfileStep, RuleHit, TierStep, TraceStep } from '../observe/evaluate.ts';
import type { EndVerdict, Explanation, NodeStage, Opinion } from '../observe/explain.ts';
import { decidersText, gateReasonText, originText } from './decider-text.ts';

/** @param notes - how the ends were found, one line each. */
export function explanationText(
  explanation: Explanation,
  from: string,
  to: string,
  notes: readonly string[] = [],
): string {
  const { packet, allowed, sameEndpoint, pending } = explanation;
  const port = packet.dstPort === undefined ? '' : ` port ${packet.dstPort}`;
  const ends = `${named(from, packet.src)} -> ${named(to, packet.dst)}`;
  const lines = [`${ends}, ${protocolName(packet.protocol)}${port}: ${verdictWord(allowed)}`, ...notes];
  if (sameEndpoint) {
    const one = from.startsWith('host/') ? 'node' : 'pod';
    lines.push('', `both ends are one ${one}: such packets never leave it, and no policy looks at them`);
    return `${lines.join('\n')}\n`;
  }
  lines.push(...opinionLines(explanation, from, to));
  if (pending) {
    const by = decidersText(decidersOf(pending));
    lines.push('', `with staged policies in force: ${verdictWord(pending.allowed)} by ${by}`);
  }
  return `${lines.join('\n')}\n`;
}

/** In the order in which the packet meets them. */
function opinionLines({ egress, ingress, host, gate }: Opinion, from: string, to: string): readonly string[] {
  const stages = (direction: string) => host.filter((stage) => stage.direction === direction);
  const isGated = gate?.reason === 'host-to-workload' || gate?.reason === 'neighbour-discovery';
  const unasked = (direction: string, end: string, does: string): readonly string[] =>
    isGated || end.startsWith('host/')
      ? []
      : ['', `${direction} of ${end}: it is no pod, so no policy looks at what it ${does}`];
  return [
    ...(egress ? ['', ...endLines('egress of', egress)] : unasked('egress', from, 'sends')),
    ...stages('egress').flatMap(stageLines),
    ...(gate
      ? ['', `node ${gate.node}: ${verdictWord(gate.verdict === 'allow')} by ${gateReasonText(gate.reason)}`]
      : []),
    ...stages('ingress').flatMap(stageLines),
    ...(ingress ? ['', ...endLines('ingress of', ingress)] : unasked('ingress', to, 'is sent')),
  ];
}

function verdictWord(allowed: boolean): string {
  return allowed ? 'allowed' : 'denied';
}

function named(text: string, address: string): string {
  return text === address ? text : `${text} (${address})`;
}

function endLines(title: string, end: EndVerdict): readonly string[] {
  return [`${title} ${end.name}: ${verdictWord(end.verdict === 'allow')}`, ...traceLines(end.trace)];
}

const stageWords: { readonly [S in NodeStage['stage']]: string } = {
  untracked: 'untracked',
  'pre-dnat': 'before destination NAT',
  normal: 'its own traffic',
  forward: 'forwarded',
};

function stageLines({ node, name, stage, direction, verdict, trace }: NodeStage): readonly string[] {
  const outcomes = { allow: 'allowed', deny: 'denied', continue: 'goes on' };
  return [
    '',
    `${direction} at ${node}, host endpoint ${name}, ${stageWords[stage]}: ${outcomes[verdict]}`,
    ...traceLines(trace),
  ];
}

function traceLines(trace: readonly TraceStep[]): readonly string[] {
  return trace.flatMap(stepLines).map((line) => `  ${line}`);
}

function stepLines(step: TraceStep): readonly string[] {
  switch (step.step) {
    case 'gate':
      return gateLines[step.reason];
    case 'failsafe':
      return [`an ${step.list} failsafe port${step.reply ? ' that answers' : ''}: open before any policy`];
    case 'tier':
      return tierLines(step);
    case 'profile':
      return profileLines(step);
    case 'end':
      return [
        step.outcome === 'deny'
          ? 'no profile matched: denied'
          : 'no policy decided: goes on as if there were none',
      ];
    default:
      return assertNever(step);
  }
}

const gateLines: { readonly [R in Extract<TraceStep, { step: 'gate' }>['reason']]: readonly string[] } = {
  'admin-down': ['the endpoint is down: denied'],
  'foreign-source': ['the source is not its own address: denied'],
  encapsulated: ['an encapsulated packet, which workloads may not send: denied'],
  'router-message': ["a router's message, which workloads may not send: denied"],
};

function tierLines(step: TierStep): readonly string[] {
  const policies = step.policies.flatMap((policy) => policyLines(policy).map((line) => `  ${line}`));
  const outcomes = { allow: 'allowed', deny: 'denied', pass: 'handed on to the next tier' };
  const end =
    step.decidedBy === 'default-action'
      ? [`  end of tier, its default action: ${outcomes[step.outcome]}`]
      : [];
  return [`tier ${step.tier}`, ...policies, ...end];
}

function policyLines(step: PolicyStep): readonly string[] {
  if (step.rules.length === 0) return [`${step.policy}: no rule matched`];
  return step.rules.map((rule) => `${step.policy}: ${ruleText(rule)}`);
}

function profileLines(step: ProfileStep): readonly string[] {
  if (step.missing) return [`profile ${step.profile}: does not exist, so it denies`];
  if (step.rules.length === 0) return [`profile ${step.profile}: no rule matched`];
  return step.rules.map((rule) => `profile ${step.profile}: ${ruleText(rule)}`);
}

function ruleText(rule: RuleHit): string {
  const verbs = { allow: 'allows', deny: 'denies', pass: 'passes to the next tier', log: 'logs' };
  return `rule ${rule.index} ${verbs[rule.action]}${originText(rule.origin).replace(' (', '  (')}`;
}
