// SPDX-License-Identifier: Apache-2.0
/**
 * The model as nft(8) text: for logs, dry runs, and as the second opinion of the tests. Input for `nft -f` as it stands.
 */
import { assertNever } from '../../lib/errors.ts';
import {
  type BaseHook,
  type Element,
  type Field,
  familyName,
  type KeyField,
  type NftOp,
  type NftRule,
  type SetSpec,
  type Statement,
  type TableFamily,
  type TableRef,
  verdictText,
} from './model.ts';

export function transactionText(ops: readonly NftOp[]): string {
  return `${ops.map(opText).join('\n')}\n`;
}

export function opText(op: NftOp): string {
  const table = `${familyName[op.table.family]} ${op.table.name}`;
  switch (op.op) {
    case 'add-table':
      return `add table ${table}${op.owned ? ' { flags owner,persist; }' : ''}`;
    case 'delete-table':
      return `delete table ${table}`;
    case 'add-chain':
      return `add chain ${table} ${op.chain}${op.hook ? ` ${hookText(op.hook)}` : ''}`;
    case 'flush-chain':
      return `flush chain ${table} ${op.chain}`;
    case 'delete-chain':
      return `delete chain ${table} ${op.chain}`;
    case 'add-rule':
      return `add rule ${table} ${op.chain} ${ruleText(op.rule, op.table.family)}`;
    case 'add-set':
      return `add ${op.spec.map ? 'map' : 'set'} ${table} ${op.set} ${specText(op.spec, op.table)}`;
    case 'delete-set':
      return `delete set ${table} ${op.set}`;
    case 'add-elements':
      return `add element ${table} ${op.set} { ${op.elements.map(elementText).join(', ')} }`;
    case 'delete-elements':
      return `delete element ${table} ${op.set} { ${op.elements.map((element) => keyText(element.key)).join(', ')} }`;
    default:
      return assertNever(op);
  }
}

function hookText(hook: BaseHook): string {
  return `{ type ${hook.type} hook ${hook.hook} priority ${hook.priority}; policy ${hook.policy}; }`;
}

function specText(spec: SetSpec, table: TableRef): string {
  const type = spec.key.map((field) => keyTypeName(field, table.family)).join(' . ');
  return `{ type ${type}${spec.map ? ' : verdict' : ''};${spec.interval ? ' flags interval;' : ''} }`;
}

export function keyTypeName(field: KeyField, family: TableFamily): string {
  if (field === 'address') return family === 4 ? 'ipv4_addr' : 'ipv6_addr';
  return { protocol: 'inet_proto', port: 'inet_service', ifname: 'ifname' }[field];
}

function elementText(element: Element): string {
  return element.verdict ? `${keyText(element.key)} : ${verdictText(element.verdict)}` : keyText(element.key);
}

/** Interface names are quoted, for nft would read some of them as numbers or keywords. */
function keyText(key: string): string {
  return /^[a-zA-Z]/.test(key) && !key.includes(':') ? quoted(key) : key;
}

export function ruleText(rule: NftRule, family: TableFamily): string {
  const statements = rule.statements.map((statement) => statementText(statement, family));
  return [...statements, ...(rule.comment ? [`comment ${quoted(cutComment(rule.comment))}`] : [])].join(' ');
}

function statementText(statement: Statement, family: TableFamily): string {
  const not = 'negate' in statement && statement.negate ? '!= ' : '';
  switch (statement.kind) {
    case 'equal':
      if (statement.value === '') return `${statement.field === 'iifname' ? 'iif' : 'oif'} ${not}0`; // nft reads no empty name
      return `${fieldText(statement.field, family)} ${not}${valueText(statement.field, statement.value)}`;
    case 'range':
      return `${fieldText(statement.field, family)} ${not}${statement.first}-${statement.last}`;
    case 'prefix':
      return `${statement.field} ${not}${quoted(`${statement.prefix}*`)}`;
    case 'cidr':
      return `${fieldText(statement.field, family)} ${not}${statement.cidr}`;
    case 'lookup':
      return `${fieldsText(statement.fields, family)} ${not}@${statement.set}`;
    case 'vmap':
      return `${fieldsText(statement.fields, family)} vmap @${statement.map}`;
    case 'ct-state':
      return `ct state ${not}${statement.states.join(',')}`;
    case 'mark-test':
      return `meta mark and ${hex(statement.mask)} == ${hex(statement.value)}`;
    case 'mark-set':
      return `meta mark set meta mark and ${hex(~statement.mask >>> 0)} or ${hex(statement.value)}`;
    case 'counter':
      return 'counter';
    case 'notrack':
      return 'notrack';
    case 'log':
      return `log prefix ${quoted(statement.prefix)}`;
    case 'verdict':
      return verdictText(statement.verdict);
    default:
      return assertNever(statement);
  }
}

function valueText(field: Field, value: string): string {
  return field === 'iifname' || field === 'oifname' ? quoted(value) : value;
}

function fieldsText(fields: readonly Field[], family: TableFamily): string {
  return fields.map((field) => fieldText(field, family)).join(' . ');
}

function fieldText(field: Field, family: TableFamily): string {
  switch (field) {
    case 'saddr':
    case 'daddr':
      return `${familyName[family]} ${field}`;
    case 'protocol':
      return 'meta l4proto';
    case 'sport':
    case 'dport':
      return `th ${field}`;
    case 'iifname':
    case 'oifname':
      return field;
    case 'icmp-type':
    case 'icmp-code':
      return `${family === 4 ? 'icmp' : 'icmpv6'} ${field.slice(5)}`;
    default:
      return assertNever(field);
  }
}

/** nft's strings know no escapes: what would end one, or is no print, stands as a question mark. */
function quoted(text: string): string {
  return `"${text.replace(/["\\\p{Cc}\p{Cs}]/gu, '?')}"`;
}

/** NFTNL_UDATA_COMMENT_MAXLEN, with its NUL. */
const maxCommentBytes = 128;

/** As nft takes it: cut at a character, never inside one. */
export function cutComment(comment: string): string {
  const bytes = new TextEncoder().encode(comment);
  if (bytes.length < maxCommentBytes) return comment;
  return new TextDecoder().decode(bytes.slice(0, maxCommentBytes - 1), { stream: true });
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(8, '0')}`;
}
