// SPDX-License-Identifier: Apache-2.0
/**
 * Door of rtnetlink: links, addresses, routes, neighbours and bpf filters of one network namespace.
 *
 * Owns:       the wire format of NETLINK_ROUTE, both families as a parameter.
 * Takes in:   typed rows; families, addresses and CIDRs as lib writes them, MACs as text, links by index.
 * Gives out:  typed rows, one KernelError per refusal.
 * Invariants: bound for ever to the namespace of the thread that opened it. Deleting what is absent is no error.
 * Next:       links.ts, addresses.ts, routes.ts, neighbours.ts, traffic-control.ts; watch.ts for events, on a socket of its own.
 */
import { NETLINK_ROUTE } from '../netlink/constants.ts';
import { NetlinkSocket } from '../netlink/socket.ts';
import { InterfaceAddresses } from './addresses.ts';
import { Links } from './links.ts';
import { Neighbours } from './neighbours.ts';
import { Routes } from './routes.ts';
import { TrafficControl } from './traffic-control.ts';

export class Rtnetlink implements Disposable {
  readonly links: Links;
  readonly addresses: InterfaceAddresses;
  readonly routes: Routes;
  readonly neighbours: Neighbours;
  readonly trafficControl: TrafficControl;
  readonly #socket: NetlinkSocket;

  private constructor(socket: NetlinkSocket) {
    this.#socket = socket;
    this.links = new Links(socket);
    this.addresses = new InterfaceAddresses(socket);
    this.routes = new Routes(socket);
    this.neighbours = new Neighbours(socket);
    this.trafficControl = new TrafficControl(socket);
  }

  /** In the network namespace of the calling thread. @throws {KernelError} */
  static open(): Rtnetlink {
    return new Rtnetlink(NetlinkSocket.open(NETLINK_ROUTE));
  }

  close(): void {
    this.#socket.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
