import { expect, test } from "vitest";
import { AnswerReader } from "../../src/control/shell-agent/agent-answers.ts";

function reader(start = "ready 0 0", mostOutputBytes = 100) {
  const seen: string[] = [];
  const text = (bytes: Uint8Array) => new TextDecoder("latin1").decode(bytes);
  const answers = new AnswerReader(start, {
    started: () => seen.push("started"),
    restarted: () => seen.push("restarted"),
    uploadStep: (kind) => seen.push(kind),
    mostOutputBytes: () => mostOutputBytes,
    done: (id, status, stdout, stderr) => seen.push(`${id}: ${status} <${text(stdout)}> <${text(stderr)}>`),
    skipped: (id, sizeBytes) => seen.push(`${id}: skipped ${sizeBytes}`),
  });
  return { seen, read: (content: string) => answers.read(new TextEncoder().encode(content)) };
}

const CONVERSATION =
  "ready 0 0\ngo 4 0\nwrote 4 0\ndone 4 0 6 4\nhello\nbad\ndone 5 3 0 0\ndone 6 137 2 0\n\n\n";
const UNDERSTOOD = ["started", "go", "wrote", "4: 0 <hello\n> <bad\n>", "5: 3 <> <>", "6: 137 <\n\n> <>"];

test("answers are understood, with outputs that have lines of their own", () => {
  const { seen, read } = reader();
  read(CONVERSATION);
  expect(seen).toEqual(UNDERSTOOD);
});

test("answers may come byte by byte", () => {
  const { seen, read } = reader();
  for (const character of CONVERSATION) read(character);
  expect(seen).toEqual(UNDERSTOOD);
});

test("what was meant for another program is passed over, even where it looks like an answer", () => {
  const { seen, read } = reader("sync 77 0");
  read("rest of an output\ndone 4 0 1 0\nxsync 76 0\nsync 77 0\ndone 9 0 2 0\nok");
  expect(seen).toEqual(["started", "9: 0 <ok> <>"]);
});

test("an output without a line end does not hide the line behind it", () => {
  const { seen, read } = reader("sync 77 0");
  read(`${"x".repeat(100_000)}sync 77 0\n`);
  expect(seen).toEqual(["started"]);
});

test("output beyond the limit is skipped, and the next answer is understood", () => {
  const { seen, read } = reader("ready 0 0", 10);
  read(`ready 0 0\ndone 1 0 11 0\n${"x".repeat(11)}done 2 0 10 0\n${"y".repeat(10)}`);
  expect(seen).toEqual(["started", "1: skipped 11", "2: 0 <yyyyyyyyyy> <>"]);
});

test("a guest that answers nonsense cannot make the reader allocate or throw", () => {
  const { seen, read } = reader();
  read("ready 0 0\ndone 1 0 -5 3\ndone x y z\n\n\u0000\ndone 1 0 1e300 0\n");
  expect(seen).toEqual(["started"]);
});

test("an agent that begins again is noticed", () => {
  const { seen, read } = reader();
  read("ready 0 0\ndone 1 0 0 0\nready 0 0\ndone 2 0 0 0\n");
  expect(seen).toEqual(["started", "1: 0 <> <>", "restarted", "2: 0 <> <>"]);
});
