/** `npm run web`: builds the page and serves it on this computer. `npm run web -- --help` lists the options. */
import process from "node:process";
import { parseArgs } from "node:util";
import { GuestUnavailableError } from "../../src/host/guest-unavailable.ts";
import { addDefaultGuest, buildPage, WEB_FOLDER } from "./build.ts";
import { serve } from "./serve.ts";

const DEFAULT_PORT = 8086;

const HELP = `usage: npm run web -- [OPTION]...

Builds the page in build/web and serves it to browsers on this computer, until Ctrl-C.

  --port PORT   the port to listen on; 0 takes any free one (default ${DEFAULT_PORT})
  --no-guest    leave the default guest out
  --build-only  build, and do not serve
  --help        this text
`;

interface Options {
  readonly help: boolean;
  readonly port: number;
  readonly guest: boolean;
  readonly serve: boolean;
}

function parseOptions(argv: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      help: { type: "boolean", short: "h", default: false },
      port: { type: "string", default: String(DEFAULT_PORT) },
      "no-guest": { type: "boolean", default: false },
      "build-only": { type: "boolean", default: false },
    },
  });
  const port = /^\d{1,5}$/.test(values.port) ? Number(values.port) : Number.NaN;
  if (!(port <= 0xffff)) throw new TypeError(`--port ${values.port}: expected a number from 0 to 65535`);
  return { help: values.help, port, guest: !values["no-guest"], serve: !values["build-only"] };
}

function report(line: string): void {
  console.error(`ringfence: ${line}`);
}

function fail(error: unknown, status: number): never {
  report(error instanceof Error ? error.message : String(error));
  process.exit(status);
}

async function main(options: Options): Promise<void> {
  if (options.help) {
    process.stdout.write(HELP);
    return;
  }
  await buildPage(WEB_FOLDER);
  if (options.guest) {
    try {
      await addDefaultGuest(WEB_FOLDER, report);
    } catch (error) {
      if (!(error instanceof GuestUnavailableError)) throw error;
      report(`${error.message}; the page has no default guest, but takes files and addresses`);
    }
  }
  if (!options.serve) return;
  const { url } = await serve(WEB_FOLDER, options.port);
  console.log(`Ringfence is at ${url} until Ctrl-C`);
}

let options: Options;
try {
  options = parseOptions(process.argv.slice(2));
} catch (error) {
  fail(error, 2);
}
main(options).catch((error: unknown) => fail(error, 2));
