// SPDX-License-Identifier: Apache-2.0
/** Changes of links, addresses, routes and neighbours as the kernel tells them. */
import { NETLINK_ROUTE } from '../netlink/constants.ts';
import type { NetlinkMessage } from '../netlink/reader.ts';
import { NetlinkSocket } from '../netlink/socket.ts';
import { decodeAddress, type InterfaceAddress } from './addresses.ts';
import * as nl from './constants.ts';
import { decodeLink, isLinkMessage, type Link } from './links.ts';
import { decodeNeighbour, type Neighbour } from './neighbours.ts';
import { decodeRoute, type Route } from './routes.ts';

/** `gone`: the row as it was last. */
export type RouteEvent =
  | { readonly kind: 'link'; readonly gone: boolean; readonly row: Link }
  | { readonly kind: 'address'; readonly gone: boolean; readonly row: InterfaceAddress }
  | { readonly kind: 'route'; readonly gone: boolean; readonly row: Route }
  | { readonly kind: 'neighbour'; readonly gone: boolean; readonly row: Neighbour };

const groups: { readonly [K in RouteEvent['kind']]: readonly number[] } = {
  link: [nl.RTNLGRP_LINK],
  address: [nl.RTNLGRP_IPV4_IFADDR, nl.RTNLGRP_IPV6_IFADDR],
  route: [nl.RTNLGRP_IPV4_ROUTE, nl.RTNLGRP_IPV6_ROUTE],
  neighbour: [nl.RTNLGRP_NEIGH],
};

export interface RouteWatch {
  readonly kinds: readonly RouteEvent['kind'][];
  onEvent(event: RouteEvent): void;
  /** Events were lost: list everything again. */
  onOverflow(): void;
  /** Bytes; small only in tests. @defaultValue 32 MiB */
  readonly receiveBuffer?: number;
}

export interface RouteWatcher extends Disposable {
  /** What the kernel has told already is heard before this returns; the rest of the time the event loop sees to it. */
  hear(): void;
}

/** In the network namespace of the calling thread. List after this returns, so that no change falls between. */
export function watchRoutes(watch: RouteWatch): RouteWatcher {
  const socket = NetlinkSocket.open(NETLINK_ROUTE, {
    groups: watch.kinds.flatMap((kind) => groups[kind]),
    ...(watch.receiveBuffer !== undefined && { receiveBuffer: watch.receiveBuffer }),
  });
  socket.onEvents(
    (messages) => {
      for (const message of messages) {
        const event = decodeEvent(message);
        if (event) watch.onEvent(event);
      }
    },
    () => watch.onOverflow(),
  );
  return socket;
}

function decodeEvent(message: NetlinkMessage): RouteEvent | null {
  switch (message.type) {
    case nl.RTM_NEWLINK:
    case nl.RTM_DELLINK: {
      const gone = message.type === nl.RTM_DELLINK;
      return isLinkMessage(message) ? { kind: 'link', gone, row: decodeLink(message) } : null;
    }
    case nl.RTM_NEWADDR:
    case nl.RTM_DELADDR: {
      const row = decodeAddress(message);
      return row && { kind: 'address', gone: message.type === nl.RTM_DELADDR, row };
    }
    case nl.RTM_NEWROUTE:
    case nl.RTM_DELROUTE: {
      const row = decodeRoute(message);
      return row && { kind: 'route', gone: message.type === nl.RTM_DELROUTE, row };
    }
    case nl.RTM_NEWNEIGH:
    case nl.RTM_DELNEIGH: {
      const row = decodeNeighbour(message);
      return row && { kind: 'neighbour', gone: message.type === nl.RTM_DELNEIGH, row };
    }
    default:
      return null;
  }
}
