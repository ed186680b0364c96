import type { HostListener } from "../host/network.ts";
import { nodeNetwork } from "../host/node/network-sockets.ts";
import { HostSockets } from "../virtio/vsock/host-sockets.ts";
import { listenForGuest, serveGuest } from "../virtio/vsock/joined-sockets.ts";
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
    const { port, path } = option;
    const failed = (failure: string) => report(`--vsock ${path}:${port}: cannot listen there: ${failure}`);
    if (option.from === "host") listeners.push(listenForGuest(sockets, nodeNetwork, { path, port, failed }));
    else if (!serveGuest(sockets, nodeNetwork, port, path))
      throw new UsageError(`--vsock ${port}:${path}: the port is taken by another --vsock`);
  }
  return {
    sockets,
    close: () => {
      for (const listener of listeners) listener.close();
    },
  };
}
