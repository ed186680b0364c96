import { UsageError } from "./usage-error.ts";

/** What `--vsock` asks for: connections from one side's port or path to the other's. */
export type VsockOption =
  | { readonly from: "guest"; readonly port: number; readonly path: string }
  | { readonly from: "host"; readonly path: string; readonly port: number };

const MOST_PORT = 0xffff_fffe;

/** Reads `PORT:PATH`, for connections of the guest, or `PATH:PORT`, for connections to it. */
export function parseVsock(text: string): VsockOption {
  const [, port, path] = /^(\d+):(.+)$/s.exec(text) ?? [];
  if (port !== undefined && path !== undefined) return { from: "guest", port: parsePort(text, port), path };
  const [, socket, guestPort] = /^(.+):(\d+)$/s.exec(text) ?? [];
  if (socket !== undefined && guestPort !== undefined)
    return { from: "host", path: socket, port: parsePort(text, guestPort) };
  throw new UsageError(
    `--vsock ${text}: expected PORT:PATH, for what the guest connects to, or PATH:PORT, for what it serves`,
  );
}

function parsePort(text: string, digits: string): number {
  const port = Number(digits);
  if (port <= MOST_PORT) return port;
  throw new UsageError(`--vsock ${text}: ports are 0 to ${MOST_PORT}`);
}
