import path from "node:path";
import { type InlineConfig, preview } from "vite";

/** What browsers ask for before they give a page shared memory, and what keeps the page from running scripts of others. */
const HEADERS = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
  "Cross-Origin-Resource-Policy": "same-origin",
  "X-Content-Type-Options": "nosniff",
  // Kernels may come from anywhere; the terminal makes style elements.
  "Content-Security-Policy":
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src *",
};

export interface WebServer {
  /** The page's address. */
  readonly url: string;
  close(): Promise<void>;
}

/**
 * Serves a folder that `buildPage` has filled, to this computer only.
 * @param port 0 takes any free one.
 * @throws {Error} When the port is in use.
 */
export async function serve(folder: string, port: number): Promise<WebServer> {
  const options: InlineConfig = {
    root: path.dirname(folder),
    configFile: false,
    // What is not there is 404, and not the page once more.
    appType: "mpa",
    logLevel: "error",
    build: { outDir: folder },
    preview: { host: "localhost", port, strictPort: true, headers: HEADERS },
  };
  const server = await preview(options).catch((cause: Error) => {
    throw /already in use/.test(cause.message)
      ? new Error(`port ${port} is in use; choose another one with --port`, { cause })
      : cause;
  });
  const url = server.resolvedUrls?.local[0];
  if (url === undefined) throw new Error("internal error (please report): the server has no address");
  return { url, close: () => server.close() };
}
