// SPDX-License-Identifier: Apache-2.0
/**
 * nftables of one network namespace, over nfnetlink.
 *
 * Owns:       the one socket that holds our tables (owner flag: nobody else may change them while it lives) and a second
 *             one for events, as an overflow of events must not swallow answers.
 * Takes in:   transactions of model.ts. Gives out: tables as they are, and word of changes by others.
 * Invariants: a transaction is taken whole or refused whole; a refusal names the guilty operation.
 * Next:       drivers/nftables/tables.ts decides what to send.
 */
import { KernelError } from '../../lib/errors.ts';
import { NETLINK_NETFILTER } from '../netlink/constants.ts';
import type { NetlinkMessage } from '../netlink/reader.ts';
import { NetlinkSocket } from '../netlink/socket.ts';
import { errnoText } from '../sys/linux.ts';
import {
  elemListAttr,
  msg,
  NFNL_SUBSYS_NFTABLES,
  NFNLGRP_NFTABLES,
  NFTA_LIST_ELEM,
  ruleAttr,
  setAttr,
  tableAttr,
} from './constants.ts';
import {
  decodeChain,
  decodeRawElement,
  decodeRule,
  decodeSet,
  decodeTableName,
  elementsOf,
} from './decode.ts';
import { addressFamily, encodeBatch } from './encode.ts';
import type { ActualChain, ActualSet, ActualTable, NftOp, SetSpec, TableRef } from './model.ts';
import { opText } from './text.ts';

/** The kernel refused a transaction; nothing of it is in force. */
export class NftError extends KernelError {
  /** Index into the transaction's operations, or null when no single one is to blame. */
  readonly opIndex: number | null;
  constructor(errno: number, detail: string, opIndex: number | null) {
    super('commit nftables transaction', errno, detail);
    this.opIndex = opIndex;
  }
}

export class NftSocket implements Disposable {
  readonly #socket: NetlinkSocket;
  #events: NetlinkSocket | null = null;

  /** In the network namespace of the calling thread. @throws {KernelError} */
  constructor() {
    this.#socket = NetlinkSocket.open(NETLINK_NETFILTER);
  }

  /** @throws {NftError} when the kernel refused: then nothing changed. */
  commit(ops: readonly NftOp[]): void {
    if (ops.length === 0) return;
    const { bytes, opOfSeq, lastSeq } = encodeBatch(ops, () => this.#socket.nextSeq());
    const answers = this.#socket.transact('commit nftables transaction', bytes);
    const refused = answers.find((answer) => answer.errno !== 0);
    if (refused) {
      const opIndex = opOfSeq.get(refused.seq) ?? null;
      const op = opIndex === null ? undefined : ops[opIndex];
      const where = op ? ` at "${opText(op).slice(0, 200)}"` : '';
      throw new NftError(
        refused.errno,
        `${errnoText(refused.errno)}${refused.text ? ` (${refused.text})` : ''}${where}`,
        opIndex,
      );
    }
    if (!answers.some((answer) => answer.seq === lastSeq))
      throw new NftError(0, 'the kernel did not answer', null);
  }

  /** Null when there is no such table. */
  read(table: TableRef): ActualTable | null {
    if (!this.#tableNames(table).includes(table.name)) return null;
    return { chains: this.#readChains(table), sets: this.#readSets(table) };
  }

  /** Of all tables of that family, whoever made them. */
  tableNames(family: TableRef['family']): readonly string[] {
    return this.#tableNames({ family, name: '' });
  }

  /** Hears of changes to tables of that name that were not made through this socket; `onOverflow` when some were missed. */
  watch(table: string, onChange: () => void, onOverflow: () => void): void {
    this.#events = NetlinkSocket.open(NETLINK_NETFILTER, { groups: [NFNLGRP_NFTABLES] });
    const ours = this.#socket.portId;
    this.#events.onEvents((messages) => {
      for (const message of messages)
        if (message.portId !== ours && concerns(message, table)) return onChange();
    }, onOverflow);
  }

  [Symbol.dispose](): void {
    this.#events?.close();
    this.#socket.close();
  }

  #tableNames(table: TableRef): string[] {
    return this.#dump('list tables', msg.GETTABLE, table, {}, (message) =>
      decodeTableName(message, tableAttr.NAME),
    );
  }

  #readChains(table: TableRef): ReadonlyMap<string, ActualChain> {
    const rows = this.#dump('list chains', msg.GETCHAIN, table, {}, decodeChain).filter(
      (row) => row.table === table.name,
    );
    const rules = this.#dump('list rules', msg.GETRULE, table, { [ruleAttr.TABLE]: table.name }, decodeRule);
    const byChain = Map.groupBy(
      rules.filter((rule) => rule.table === table.name),
      (rule) => rule.chain,
    );
    return new Map(
      rows.map(({ name, hook }) => [
        name,
        { hook, rules: (byChain.get(name) ?? []).map((rule) => rule.fingerprint) },
      ]),
    );
  }

  #readSets(table: TableRef): ReadonlyMap<string, ActualSet> {
    const decode = (message: NetlinkMessage) => decodeSet(message, table.family);
    const rows = this.#dump('list sets', msg.GETSET, table, { [setAttr.TABLE]: table.name }, decode);
    const sets = new Map<string, ActualSet>();
    for (const { name, spec, anonymous } of rows.filter((row) => row.table === table.name)) {
      if (anonymous) continue;
      // a set of a strange form is listed without members, so that it differs from whatever we want and is replaced
      if (spec) sets.set(name, { spec, elements: this.#readElements(table, name, spec) });
      else sets.set(name, { spec: { key: [], interval: false }, elements: [] });
    }
    return sets;
  }

  #readElements(table: TableRef, set: string, spec: SetSpec): ActualSet['elements'] {
    const attributes = { [elemListAttr.TABLE]: table.name, [elemListAttr.SET]: set };
    const raw = this.#dump('list elements', msg.GETSETELEM, table, attributes, (message) => {
      const found: ReturnType<typeof decodeRawElement>[] = [];
      for (const attribute of message.attributes(4)) {
        if (attribute.type !== elemListAttr.ELEMENTS) continue;
        for (const item of attribute.nested())
          if (item.type === NFTA_LIST_ELEM) found.push(decodeRawElement(item.nested()));
      }
      return found;
    });
    return elementsOf(raw.flat(), spec, table.family);
  }

  #dump<T>(
    operation: string,
    type: number,
    table: TableRef,
    attributes: { readonly [type: number]: string },
    decode: (message: NetlinkMessage) => T,
  ): T[] {
    return this.#socket.dump(
      operation,
      (NFNL_SUBSYS_NFTABLES << 8) | type,
      (w) => {
        w.nfgenmsg(addressFamily[table.family]);
        for (const [name, value] of Object.entries(attributes)) w.attrString(Number(name), value);
      },
      decode,
    );
  }
}

/** In every message but that of a new generation, attribute 1 is the table's name. */
function concerns(message: NetlinkMessage, table: string): boolean {
  return (message.type & 0xff) !== msg.NEWGEN && decodeTableName(message, tableAttr.NAME) === table;
}
