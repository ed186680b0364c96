import { GuestUnavailableError } from "../../host/guest-unavailable.ts";
import { requireSuccess } from "../../host/node/package-client.ts";
import { runProgram } from "../../host/node/run-program.ts";

/** One place that packages come from, as a line of apt's sources.list. */
export interface DebianSource {
  readonly uri: string;
  readonly suite: string;
  readonly components: readonly string[];
}

/** Where packages of an image come from, now and when it runs. */
export interface DebianOrigin {
  readonly suite: string;
  readonly sources: readonly DebianSource[];
  /** Settings of this machine's apt about how servers are reached, one a line, as in apt.conf. */
  readonly acquireSettings: readonly string[];
}

/** Debian's own keys, where package debian-archive-keyring is, as it is in every image. */
export const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";
/** Under 10.0.2.2 a guest finds what is 127.0.0.1 here. */
const HOST_FOR_GUEST = "10.0.2.2";
/** Releases that have neither updates nor security of their own. */
const ROLLING = new Set(["sid", "unstable", "experimental"]);

/**
 * Where a suite of Debian comes from: the mirror given, else where this machine's own packages come from.
 * @throws {GuestUnavailableError} When this machine has no apt, or one that knows no Debian.
 */
export async function findOrigin(
  suite: string | undefined,
  mirror: string | undefined,
): Promise<DebianOrigin> {
  const own = await ownSources();
  const ownSuite = own.map((source) => source.suite).sort((a, b) => a.length - b.length)[0];
  const acquireSettings = await ownSettings();
  if (mirror !== undefined) {
    const wanted = suite ?? ownSuite ?? "stable";
    return {
      suite: wanted,
      sources: [{ uri: mirror, suite: wanted, components: ["main"] }],
      acquireSettings,
    };
  }
  if (ownSuite === undefined)
    throw new GuestUnavailableError(
      "this machine's package sources have no Debian; give one with --mirror URL",
    );
  const wanted = suite ?? ownSuite;
  const sources = own
    .filter((source) => source.suite === ownSuite || !ROLLING.has(wanted))
    .map((source) => ({ ...source, suite: source.suite.replace(ownSuite, wanted) }));
  return { suite: wanted, sources, acquireSettings };
}

/** The sources as lines of sources.list; `keyring` has the keys that they are signed with, else those apt trusts. */
export function sourceLines(sources: readonly DebianSource[], keyring: string | undefined): string[] {
  const signed = keyring === undefined ? "" : `[signed-by=${keyring}] `;
  return sources.map(({ uri, suite, components }) => `deb ${signed}${uri} ${suite} ${components.join(" ")}`);
}

/** The origin as a guest sees it, behind the network address translation. */
export function originForGuest(origin: DebianOrigin): DebianOrigin {
  const loopback = /(:\/\/(?:[^@/\s]*@)?)(?:localhost|127(?:\.\d+){3}|\[::1\])(?=[:/"\s]|$)/g;
  const translate = (text: string) => text.replace(loopback, `$1${HOST_FOR_GUEST}`);
  return {
    ...origin,
    sources: origin.sources.map((source) => ({ ...source, uri: translate(source.uri) })),
    acquireSettings: origin.acquireSettings.map(translate),
  };
}

/** What this machine takes Debian's packages from, without repetitions. */
async function ownSources(): Promise<DebianSource[]> {
  const format = "$(REPO_URI)\t$(RELEASE)\t$(COMPONENT)\t$(ORIGIN)";
  const parameters = ["indextargets", "--format", format, "Created-By: Packages"];
  const end = await runProgram("apt-get", parameters);
  requireSuccess("apt-get", end);
  const rows = end.stdout.split("\n").map((line) => line.split("\t"));
  const known = rows.filter((row) => row.length === 4 && (row[3] === "Debian" || row[3] === ""));
  const sources = new Map<string, { uri: string; suite: string; components: string[] }>();
  for (const [uri = "", suite = "", component = ""] of known) {
    const key = `${uri} ${suite}`;
    const source = sources.get(key) ?? { uri, suite, components: [] };
    if (!source.components.includes(component)) source.components.push(component);
    sources.set(key, source);
  }
  return [...sources.values()];
}

/** Proxies, and which dates are believed: without these the guest might not reach what this machine reaches. */
async function ownSettings(): Promise<string[]> {
  const end = await runProgram("apt-config", ["dump", "--no-empty", "--format", '%F "%v";%n']);
  requireSuccess("apt-config", end);
  const wanted = /^Acquire::(\w+::Proxy(::[\w.-]+)?|Check-Valid-Until|Check-Date|AllowInsecure\w*) "/;
  return end.stdout.split("\n").filter((line) => wanted.test(line));
}
