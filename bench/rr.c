// SPDX-License-Identifier: Apache-2.0
// Load for bench/path.ts: as little work of its own as can be, so that what is measured is the path.
//   rr server PORT                 answers one byte with one byte, each connection in turn
//   rr client ADDRESS PORT rr N    N round trips on one connection
//   rr client ADDRESS PORT crr N   N times connect, one round trip, close
//   rr sink PORT                   reads what comes, says how much, one connection after the other
//   rr client ADDRESS PORT bulk N  N megabytes on one connection, done when the other side has read them
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void fail(const char *what) { perror(what); exit(1); }

static int tcp(void) {
  int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
  if (fd < 0) fail("socket");
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  return fd;
}

static int server(int port) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
  int listening = tcp();
  if (bind(listening, (void *)&at, sizeof at) || listen(listening, 1024)) fail("listen");
  puts("ready");
  fflush(stdout);
  for (;;) {
    int fd = accept(listening, 0, 0), one = 1;
    char byte;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    while (read(fd, &byte, 1) == 1)
      if (write(fd, &byte, 1) != 1) break;
    close(fd);
  }
}

static int sink(int port) {
  static char buffer[1 << 18];
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
  int listening = tcp();
  if (bind(listening, (void *)&at, sizeof at) || listen(listening, 16)) fail("listen");
  puts("ready");
  fflush(stdout);
  for (;;) {
    int fd = accept(listening, 0, 0);
    while (read(fd, buffer, sizeof buffer) > 0) {
    }
    close(fd);
  }
}

static void bulk(int fd, int megabytes) {
  static char block[1 << 18];
  char end;
  for (long left = (long)megabytes << 20; left > 0;) {
    long sent = write(fd, block, left < (long)sizeof block ? left : (long)sizeof block);
    if (sent <= 0) fail("write");
    left -= sent;
  }
  shutdown(fd, SHUT_WR);
  if (read(fd, &end, 1) != 0) fail("end");
}

static void trip(int fd) {
  char byte = 'x';
  if (write(fd, &byte, 1) != 1 || read(fd, &byte, 1) != 1) fail("round trip");
}

static int reach(const char *address, int port) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
  int fd = tcp();
  inet_pton(AF_INET, address, &to.sin_addr);
  if (connect(fd, (void *)&to, sizeof to)) fail("connect");
  return fd;
}

int main(int argc, char **argv) {
  if (argc == 3 && !strcmp(argv[1], "server")) return server(atoi(argv[2]));
  if (argc == 3 && !strcmp(argv[1], "sink")) return sink(atoi(argv[2]));
  if (argc != 6 || strcmp(argv[1], "client")) return 2;
  int port = atoi(argv[3]), count = atoi(argv[5]);
  if (!strcmp(argv[4], "rr")) {
    int fd = reach(argv[2], port);
    for (int i = 0; i < count; i++) trip(fd);
    return 0;
  }
  if (!strcmp(argv[4], "bulk")) {
    bulk(reach(argv[2], port), count);
    return 0;
  }
  for (int i = 0; i < count; i++) {
    int fd = reach(argv[2], port);
    trip(fd);
    close(fd);
  }
  return 0;
}
