// SPDX-License-Identifier: Apache-2.0
/** An explanation as people read it: the verdict first, then in order of the way what was asked and what decided. */
import { assertNever } from '../lib/errors.ts';
import { protocolName } from '../lib/protocol.ts';
import { decidersOf } from '../observe/decider.ts';
import type { PolicyStep, ProfileStep, RuleHit, TierStep, TraceStep } from '../observe/evaluate.ts';
import type { EndVerdict, NodeStage } from '../observe/explain.ts';
import { decidersText, gateReasonText, originText } from './decider-text.ts';
import type { Uplink } from './evaluators/cluster-nodes.ts';
import type { LocatedExplanation } from './evaluators/policy-eval.ts';

export function explanationText(explanation: LocatedExplanation, from: string, to: string): string {
  const { packet, allowed, sameEndpoint, pending, ends, uplinks } = explanation;
  const port = packet.dstPort === undefined ? '' : ` port ${packet.dstPort}`;
  const way = `${named(from, packet.src)} -> ${named(to, packet.dst)}`;
  const lines = [
    `${way}, ${protocolName(packet.protocol)}${port}: ${verdictWord(allowed)}`,
    ...uplinks.map(uplinkText),
  ];
  if (sameEndpoint) {
    const one = ends.from === 'host' ? 'node' : 'pod';
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

/** Which host endpoint was taken for a node's link to the others, and why. */
function uplinkText({ node, endpoint, why }: Uplink): string {
  const name = endpoint?.slice(endpoint.indexOf('/') + 1);
  return `uplink of ${node}: ${name === undefined ? 'no host endpoint' : `host endpoint ${name}`}, as ${why}`;
}

/** In the order in which the packet meets them. */
function opinionLines(explanation: LocatedExplanation, from: string, to: string): readonly string[] {
  const { egress, ingress, host, gate, ends } = explanation;
  const stages = (direction: string) => host.filter((stage) => stage.direction === direction);
  const unasked = (direction: string, end: string, does: string): readonly string[] => [
    '',
    `${direction} of ${end}: it is no pod, so no policy looks at what it ${does}`,
  ];
  return [
    ...(egress
      ? ['', ...endLines('egress of', egress)]
      : ends.from === 'address'
        ? unasked('egress', from, 'sends')
        : []),
    ...stages('egress').flatMap(stageLines),
    ...(gate
      ? ['', `node ${gate.node}: ${verdictWord(gate.verdict === 'allow')} by ${gateReasonText(gate.reason)}`]
      : []),
    ...stages('ingress').flatMap(stageLines),
    ...(ingress
      ? ['', ...endLines('ingress of', ingress)]
      : ends.to === 'address'
        ? unasked('ingress', to, 'is sent')
        : []),
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
