import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { commandScript } from "../../src/control/command-script.ts";
import { runStreamed, type StreamedRequest } from "../../src/control/streamed-command.ts";
import { leftovers, localControl } from "./local-shell.ts";

async function collect(script: string, request: Partial<StreamedRequest> = {}) {
  const seen = { stdout: [] as Uint8Array[], stderr: [] as Uint8Array[] };
  const status = await runStreamed(localControl, script, {
    ...request,
    output: async (stream, bytes) => void seen[stream].push(bytes.slice()),
  });
  return {
    status,
    stdout: Buffer.concat(seen.stdout),
    stderr: Buffer.concat(seen.stderr),
    pieces: seen.stdout,
  };
}

test("both streams come whole, with the status, and nothing is left behind", async () => {
  const script = "head -c 500001 /dev/zero | tr '\\0' x; echo complaint >&2; exit 9";
  const { status, stdout, stderr } = await collect(script);
  expect([status, stdout.toString(), stderr.toString()]).toEqual([9, "x".repeat(500_001), "complaint\n"]);
  await expect.poll(leftovers).toEqual([]);
});

test("output comes before the command has ended, and input reaches it", async () => {
  const { pieces } = await collect("cat; sleep 1; echo after", {
    input: new TextEncoder().encode("before\n"),
  });
  expect(pieces.map((piece) => new TextDecoder().decode(piece))).toEqual(["before\n", "after\n"]);
});

/** Pieces of input, each when it is asked for; `given` counts. */
function inputOf(pieces: readonly (string | Uint8Array)[]) {
  const source = { given: 0, next: async (): Promise<Uint8Array | undefined> => undefined };
  source.next = async () => {
    const piece = pieces[source.given];
    if (piece === undefined) return undefined;
    source.given++;
    return typeof piece === "string" ? new TextEncoder().encode(piece) : piece;
  };
  return source;
}

test("input that comes while the command runs reaches it, and what it answers comes before more is asked for", async () => {
  const answered = Promise.withResolvers<void>();
  const said: string[] = [];
  let asked = 0;
  const status = await runStreamed(
    localControl,
    'while read -r line; do echo "got $line"; done; echo end; exit 7',
    {
      input: async () => {
        asked++;
        if (asked === 2) await answered.promise;
        return asked <= 2 ? new TextEncoder().encode(`line ${asked}\n`) : undefined;
      },
      output: (_stream, bytes) => {
        said.push(new TextDecoder().decode(bytes));
        answered.resolve();
      },
    },
  );
  expect([status, said[0], said.join("")]).toEqual([7, "got line 1\n", "got line 1\ngot line 2\nend\n"]);
  await expect.poll(leftovers).toEqual([]);
});

test("all bytes of input arrive in order, in whatever pieces", async () => {
  const bytes = randomBytes(1_000_000);
  const pieces = [0, 1, 70_000, 400_000, 400_001].map((at, i, all) => bytes.subarray(at, all[i + 1]));
  const { stdout } = await collect("cat", { input: inputOf(pieces).next });
  expect(Buffer.compare(stdout, bytes)).toBe(0);
});

test("a command that does not read its input is not waited for, and no more is taken than it reads", async () => {
  const piece = new Uint8Array(100_000);
  const source = inputOf(Array.from({ length: 1000 }, () => piece));
  expect((await collect("sleep 1; exit 3", { input: source.next })).status).toBe(3);
  expect(source.given).toBe(1);
  const reader = inputOf(Array.from({ length: 1000 }, () => piece));
  expect((await collect("head -c 150000 | wc -c", { input: reader.next })).stdout.toString()).toMatch(
    /^ *150000\n$/,
  );
  expect(reader.given).toBeLessThan(6);
  await expect.poll(leftovers).toEqual([]);
});

test("an input without a byte is at its end at once", async () => {
  const { status, stdout } = await collect("wc -c", { input: async () => undefined });
  expect([status, stdout.toString().trim()]).toEqual([0, "0"]);
});

test("an aborted command fails with the signal's reason", async () => {
  const script = "echo begun; sleep 1000";
  await expect(collect(script, { signal: AbortSignal.timeout(300) })).rejects.toMatchObject({
    name: "TimeoutError",
  });
  await expect.poll(leftovers).toEqual([]);
});

test.each([
  [["printf", "%s|", "a b", "", "it's", "$HOME", "x=y", "*"], "a b||it's|$HOME|x=y|*|"],
  [["A=1"], ""],
])("words are taken as they are: %j", async (words, printed) => {
  expect((await collect(commandScript(words))).stdout.toString()).toBe(printed);
});

test("folder and environment are set before the command", async () => {
  const script = commandScript('pwd; echo "$A"', { folder: "/usr", environment: { A: "it's; exit 1" } });
  expect((await collect(script)).stdout.toString()).toBe("/usr\nit's; exit 1\n");
  const missing = await collect(commandScript("echo never", { folder: "/no such folder" }));
  expect([missing.status, missing.stdout.toString()]).toEqual([126, ""]);
  expect(() => commandScript("true", { environment: { "A-B": "" } })).toThrow("A-B");
  expect(() => commandScript("a\0b")).toThrow("NUL");
});
