import { mkdtempSync, rmSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { Duplex } from "node:stream";

/** Both directions of a connection. */
export interface ByteStreams {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
}

/** Functions of a program as servers of streams, at sockets in a folder that only this user can enter. */
export class StreamServices {
  readonly #servers = new Set<net.Server>();
  readonly #sockets = new Set<net.Socket>();
  #folder: string | undefined;
  #opened = 0;

  /**
   * Returns the path of the server's socket.
   *
   * @param failed Told of what the handler throws; its connection is over.
   */
  async open(
    handler: (streams: ByteStreams) => void | Promise<void>,
    failed: (error: unknown) => void,
  ): Promise<string> {
    return (
      await this.#listen((streams, socket) => {
        Promise.resolve(streams)
          .then(handler)
          .catch((error: unknown) => {
            failed(error);
            socket.destroy();
          });
      })
    ).path;
  }

  /**
   * Has `connect` connect something to a socket; resolves with the connection.
   *
   * @throws What `connect` rejects with.
   */
  async connected(connect: (path: string) => Promise<void>): Promise<ByteStreams> {
    const { promise, resolve } = Promise.withResolvers<ByteStreams>();
    const { path: file, server } = await this.#listen(resolve);
    try {
      await connect(file);
      return await promise;
    } finally {
      server.close();
      this.#servers.delete(server);
    }
  }

  close(): void {
    for (const server of this.#servers) server.close();
    this.#servers.clear();
    for (const socket of this.#sockets) socket.destroy();
    if (this.#folder !== undefined) rmSync(this.#folder, { recursive: true, force: true });
    this.#folder = undefined;
  }

  async #listen(accept: (streams: ByteStreams, socket: net.Socket) => void) {
    this.#folder ??= mkdtempSync(path.join(tmpdir(), "ringfence-sockets-"));
    const file = path.join(this.#folder, String(this.#opened++));
    const server = net.createServer({ allowHalfOpen: true }, (socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
      const { readable, writable } = Duplex.toWeb(socket);
      accept({ readable, writable } as ByteStreams, socket);
    });
    this.#servers.add(server);
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(file, () => resolve());
    });
    // What may be asked keeps no process from ending.
    server.unref();
    return { path: file, server };
  }
}
