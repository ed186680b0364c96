import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";

/** Answers what is asked by HTTP. */
export type HttpHandler = (request: Request) => Response | Promise<Response>;

/** Functions of a program as HTTP servers, at sockets in a folder that only this user can enter. */
export class HttpServices {
  readonly #servers: Server[] = [];
  #folder: string | undefined;

  /**
   * Returns the path of the server's socket.
   *
   * @param failed Told of what the handler throws; whoever asked gets status 500.
   */
  async open(handler: HttpHandler, failed: (error: unknown) => void): Promise<string> {
    this.#folder ??= mkdtempSync(path.join(tmpdir(), "ringfence-http-"));
    const file = path.join(this.#folder, String(this.#servers.length));
    const server = createServer((incoming, outgoing) => {
      answer(handler, incoming, outgoing).catch((error: unknown) => {
        failed(error);
        if (outgoing.headersSent) outgoing.destroy();
        else outgoing.writeHead(500).end();
      });
    });
    this.#servers.push(server);
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(file, () => resolve());
    });
    // What may be asked keeps no process from ending.
    server.unref();
    return file;
  }

  close(): void {
    for (const server of this.#servers.splice(0)) {
      server.close();
      server.closeAllConnections();
    }
    if (this.#folder !== undefined) rmSync(this.#folder, { recursive: true, force: true });
    this.#folder = undefined;
  }
}

async function answer(
  handler: HttpHandler,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): Promise<void> {
  const gone = new AbortController();
  outgoing.on("close", () => gone.abort());
  const response = await handler(requestOf(incoming, gone.signal));
  outgoing.statusCode = response.status;
  outgoing.statusMessage = response.statusText;
  for (const [name, value] of response.headers) if (name !== "set-cookie") outgoing.setHeader(name, value);
  const cookies = response.headers.getSetCookie();
  if (cookies.length > 0) outgoing.setHeader("set-cookie", cookies);
  if (response.body === null) outgoing.end();
  else await pipeline(Readable.fromWeb(response.body as import("node:stream/web").ReadableStream), outgoing);
}

function requestOf(incoming: IncomingMessage, signal: AbortSignal): Request {
  const { method = "GET", url = "/", headers } = incoming;
  const all = Object.entries(headers).flatMap(([name, value]) =>
    [value ?? []].flat().map((one): [string, string] => [name, one]),
  );
  const hasBody = method !== "GET" && method !== "HEAD";
  return new Request(new URL(url, `http://${headers.host ?? "localhost"}`), {
    method,
    headers: all,
    signal,
    ...(hasBody && { body: Readable.toWeb(incoming) as ReadableStream, duplex: "half" }),
  });
}
