import dgram from "node:dgram";
import dns from "node:dns";
import { lstatSync, rmSync } from "node:fs";
import net from "node:net";
import type {
  HostDatagramEvents,
  HostDatagramSocket,
  HostEndpoint,
  HostListener,
  HostNetwork,
  HostSocketFailure,
  HostStream,
  HostStreamEvents,
  StreamAddress,
} from "../network.ts";

const CONNECT_TIMEOUT_MS = 60_000;
/** Datagrams that wait for the event loop; more are lost, as in a full queue of a network card. */
const MAXIMUM_WAITING_DATAGRAMS = 256;
const DNS_PORT = 53;
/** What sockets that were connected from here read goes through this, one after the other. */
const READ_BUFFER = new Uint8Array(65536);

/** The host's network, by Node.js's sockets. */
export const nodeNetwork: HostNetwork = {
  connect(to, events) {
    const where = "path" in to ? { path: to.path } : { host: to.address, port: to.port };
    // Each read would take new memory otherwise, and collecting that costs more than the transfer.
    const onread = {
      buffer: READ_BUFFER,
      callback: (length: number, bytes: Uint8Array) => {
        stream.received(bytes.subarray(0, length));
        return true;
      },
    };
    const socket = net.connect({ ...where, allowHalfOpen: true, noDelay: true, onread });
    const stream = nodeStream(socket, () => events, true);
    return stream;
  },

  listen(at, events): HostListener {
    const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      let accepted: HostStreamEvents | undefined;
      const stream = nodeStream(socket, () => accepted, false);
      accepted = events.accept(stream);
    });
    let replaced = false;
    server.on("error", (error) => {
      const failure = failureOf(error);
      if (failure !== "in-use" || !("path" in at) || replaced) {
        events.failed(failure);
        return;
      }
      replaced = true;
      removeStaleSocket(at.path, (removed) => {
        if (removed) server.listen(at.path);
        else events.failed(failure);
      });
    });
    server.on("listening", () => events.listening());
    server.listen(listenOptions(at));
    server.unref();
    return { close: () => server.close() };
  },

  openDatagrams,

  nameServers() {
    return dns.getServers().flatMap((text): HostEndpoint[] => {
      const match = /^\[(.+)\]:(\d+)$/.exec(text) ?? /^([\d.]+):(\d+)$/.exec(text);
      if (match !== null) return [{ address: match[1]!, port: Number(match[2]) }];
      return [{ address: text, port: DNS_PORT }];
    });
  },
};

function listenOptions(at: StreamAddress): net.ListenOptions {
  return "path" in at ? { path: at.path } : { host: at.address, port: at.port, exclusive: true };
}

/** Removes a socket's file at which nobody listens, unless another has put a new one there meanwhile. */
function removeStaleSocket(path: string, done: (removed: boolean) => void): void {
  const before = lstatSync(path, { throwIfNoEntry: false });
  if (before === undefined) return done(true);
  if (!before.isSocket()) return done(false);
  const probe = net.connect(path);
  probe.on("connect", () => {
    probe.destroy();
    done(false);
  });
  probe.on("error", () => {
    if (lstatSync(path, { throwIfNoEntry: false })?.ino === before.ino) rmSync(path, { force: true });
    done(true);
  });
}

/** `receiver` gives whom the events are for; those that come before there is anybody wait in the socket. */
function nodeStream(
  socket: net.Socket,
  receiver: () => HostStreamEvents | undefined,
  connecting: boolean,
): HostStream & { received(bytes: Uint8Array): void } {
  let over = false;
  let failure: HostSocketFailure | undefined;
  if (connecting) {
    socket.setTimeout(CONNECT_TIMEOUT_MS, () => socket.destroy(new TimeoutError()));
    socket.on("connect", () => {
      socket.setTimeout(0);
      if (!over) receiver()?.connected();
    });
  }
  const received = (bytes: Uint8Array) => {
    if (!over) receiver()?.data(bytes);
  };
  socket.on("data", received);
  socket.on("end", () => {
    if (!over) receiver()?.ended();
  });
  socket.on("error", (error) => {
    failure = failureOf(error);
  });
  socket.on("close", () => {
    if (over) return;
    over = true;
    receiver()?.closed(failure);
  });
  return {
    received,
    write(bytes) {
      if (over || socket.writableEnded) return;
      socket.write(bytes, (error) => {
        if (!over && !error) receiver()?.written(bytes.length);
      });
    },
    end: () => socket.end(),
    pause: () => socket.pause(),
    resume: () => socket.resume(),
    reset() {
      over = true;
      if (socket instanceof net.Socket && socket.remoteFamily !== undefined) socket.resetAndDestroy();
      else socket.destroy();
    },
  };
}

function openDatagrams(
  family: 4 | 6,
  at: HostEndpoint | undefined,
  events: HostDatagramEvents,
): HostDatagramSocket {
  let closed = false;
  let waiting = 0;
  const socket = dgram.createSocket({
    type: family === 4 ? "udp4" : "udp6",
    ipv6Only: family === 6,
    // Addresses are numbers already.
    lookup: (address, _options, callback) => callback(null, address, family),
  });
  const close = () => {
    if (closed) return;
    closed = true;
    socket.close();
  };
  socket.on("message", (bytes, from) => {
    if (!closed) events.datagram(bytes, { address: from.address, port: from.port });
  });
  socket.on("error", (error) => {
    if (closed) return;
    close();
    events.failed(failureOf(error));
  });
  socket.on("listening", () => events.opened?.());
  socket.bind(at === undefined ? { port: 0 } : { address: at.address, port: at.port, exclusive: true });
  socket.unref();
  return {
    send(bytes, to) {
      if (closed || waiting >= MAXIMUM_WAITING_DATAGRAMS) return;
      waiting++;
      // A datagram that cannot be sent is lost, as on any network.
      socket.send(bytes, to.port, to.address, () => {
        waiting--;
      });
    },
    close,
  };
}

class TimeoutError extends Error {
  readonly code = "ETIMEDOUT";
}

function failureOf(error: Error): HostSocketFailure {
  switch ((error as NodeJS.ErrnoException).code) {
    case "ECONNREFUSED":
    case "ENOENT":
      return "refused";
    case "ECONNRESET":
    case "EPIPE":
      return "reset";
    case "ENETUNREACH":
    case "EHOSTUNREACH":
    case "EADDRNOTAVAIL":
    case "EACCES":
    case "EPERM":
      return "unreachable";
    case "ETIMEDOUT":
      return "timed-out";
    case "EADDRINUSE":
      return "in-use";
    default:
      return "other";
  }
}
