import { JoinedStreams } from "../host/join-streams.ts";
import type { HostListener } from "../host/network.ts";
import { nodeNetwork } from "../host/node/network-sockets.ts";
import { HostSockets } from "../virtio/vsock/host-sockets.ts";
import { UsageError } from "./usage-error.ts";
import type { VsockOption } from "./vsock-option.ts";

export interface GuestSockets {
  /** Undefined: the machine has no socket device. */
  readonly sockets: HostSockets | undefined;
  close(): void;
}

/** `isNeeded`: a restored machine has the device. Joins ports of the guest's socket device with Unix-domain sockets of this host. */
export function openVsock(
  options: readonly VsockOption[],
  { isNeeded, report }: { isNeeded: boolean; report: (line: string) => void },
): GuestSockets {
  if (options.length === 0 && !isNeeded) return { sockets: undefined, close() {} };
  const sockets = new HostSockets();
  const listeners: HostListener[] = [];
  for (const option of options) {
    if (option.from === "host") listeners.push(listenForGuest(sockets, option, report));
    else if (!serveGuest(sockets, option))
      throw new UsageError(`--vsock ${option.port}:${option.path}: the port is taken by another --vsock`);
  }
  return {
    sockets,
    close: () => {
      for (const listener of listeners) listener.close();
    },
  };
}

/** The guest's connections to a port go to the program that listens at `path`. */
function serveGuest(sockets: HostSockets, { port, path }: { port: number; path: string }): boolean {
  return sockets.listen(port, (guest) => {
    const joined = new JoinedStreams(() => guest.accept());
    joined.near = guest;
    joined.far = nodeNetwork.connect({ path }, joined.farEvents);
    return joined.nearEvents;
  });
}

/** Connections to `path` go to a port of the guest. */
function listenForGuest(
  sockets: HostSockets,
  { port, path }: { port: number; path: string },
  report: (line: string) => void,
): HostListener {
  return nodeNetwork.listen(
    { path },
    {
      listening() {},
      accept: (program) => {
        const joined = new JoinedStreams(() => program.resume());
        program.pause();
        joined.near = program;
        joined.far = sockets.connect(port, joined.farEvents);
        return joined.nearEvents;
      },
      failed: (failure) => report(`--vsock ${path}:${port}: cannot listen there: ${failure}`),
    },
  );
}
