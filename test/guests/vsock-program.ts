import { spawnSync } from "node:child_process";
import { expect } from "vitest";

/** `vsock connect PORT` sends standard input to the host and prints what comes back; `vsock serve PORT` echoes once. */
const PROGRAM = `
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/vm_sockets.h>
static char buffer[100000];
static void all(int fd, const char *from, ssize_t length) {
  while (length > 0) {
    ssize_t put = write(fd, from, length);
    if (put <= 0) { perror("write"); exit(3); }
    from += put; length -= put;
  }
}
int main(int argc, char **argv) {
  struct sockaddr_vm at = { .svm_family = AF_VSOCK, .svm_port = atoi(argv[2]) };
  int fd = socket(AF_VSOCK, SOCK_STREAM, 0);
  ssize_t got;
  if (argv[1][0] == 's') {
    at.svm_cid = VMADDR_CID_ANY;
    if (bind(fd, (void *)&at, sizeof at) || listen(fd, 4)) { perror("listen"); return 1; }
    puts("listening");
    fflush(stdout);
    int one = accept(fd, 0, 0);
    while ((got = read(one, buffer, sizeof buffer)) > 0) all(one, buffer, got);
    close(one);
    return got != 0;
  }
  at.svm_cid = VMADDR_CID_HOST;
  if (connect(fd, (void *)&at, sizeof at)) { printf("connect: %s\\n", strerror(errno)); return 2; }
  // Reads while it writes: what comes back is as much as what goes.
  int ended = 0;
  ssize_t left = 0; char *from = 0; static char input[65536];
  for (;;) {
    struct pollfd polls = { .fd = fd, .events = POLLIN | (ended ? 0 : POLLOUT) };
    if (poll(&polls, 1, -1) < 0) return 4;
    if (polls.revents & (POLLIN | POLLHUP)) {
      got = read(fd, buffer, sizeof buffer);
      if (got <= 0) return got != 0;
      all(1, buffer, got);
    }
    if (ended || !(polls.revents & POLLOUT)) continue;
    if (left == 0) { left = read(0, input, sizeof input); from = input; }
    if (left <= 0) { shutdown(fd, SHUT_WR); ended = 1; continue; }
    got = send(fd, from, left, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) continue;
    if (got < 0) { perror("send"); return 5; }
    from += got; left -= got;
  }
}
`;

export const hasCompiler = spawnSync("gcc", ["--version"]).status === 0;

/** Makes the program at `file`, for any Linux. */
export function compileVsockProgram(file: string): void {
  const compiler = ["-static", "-w", "-x", "c", "-", "-o", file];
  expect(spawnSync("gcc", compiler, { input: PROGRAM }).status).toBe(0);
}
