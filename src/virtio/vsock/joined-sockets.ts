import { JoinedStreams } from "../../host/join-streams.ts";
import type { HostListener, HostNetwork, HostSocketFailure } from "../../host/network.ts";
import type { HostSockets } from "./host-sockets.ts";

/** The guest's connections to a port go to the program that listens at `path`. @returns False: the port is taken. */
export function serveGuest(sockets: HostSockets, network: HostNetwork, port: number, path: string): boolean {
  return sockets.listen(port, (guest) => {
    const joined = new JoinedStreams(() => guest.accept());
    joined.near = guest;
    joined.far = network.connect({ path }, joined.farEvents);
    return joined.nearEvents;
  });
}

/** Connections to `path` go to a port of the guest. */
export function listenForGuest(
  sockets: HostSockets,
  network: HostNetwork,
  { path, port, failed }: { path: string; port: number; failed(failure: HostSocketFailure): void },
): HostListener {
  return network.listen(
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
      failed,
    },
  );
}

/**
 * Connects to a port of the guest, and from there to the program that listens at `path`. Resolves with what went wrong
 * with the former.
 */
export function connectGuest(
  sockets: HostSockets,
  network: HostNetwork,
  port: number,
  path: string,
): Promise<HostSocketFailure | undefined> {
  return new Promise((resolve) => {
    const joined = new JoinedStreams(() => {
      joined.near = network.connect({ path }, joined.nearEvents);
      resolve(undefined);
    });
    const events = joined.farEvents;
    joined.far = sockets.connect(port, {
      ...events,
      closed: (failure) => {
        resolve(failure ?? "reset");
        events.closed(failure);
      },
    });
  });
}
