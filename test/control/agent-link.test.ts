import { VmError } from "ringfence";
import { expect, test } from "vitest";
import { AgentLink } from "../../src/control/qemu-guest-agent/agent-link.ts";
import { QemuGuestAgent } from "../../src/control/qemu-guest-agent/qemu-guest-agent.ts";

interface Message {
  execute: string;
  arguments?: Record<string, unknown>;
}

/** An agent that answers a sync, and everything else by `answer`. */
function rig(answer: (message: Message, say: (text: string) => void) => void) {
  const asked: string[] = [];
  const say = (text: string) => link.receive(new TextEncoder().encode(text));
  const link: AgentLink = new AgentLink((bytes) => {
    if (bytes[0] === 0xff) return;
    const message = JSON.parse(new TextDecoder().decode(bytes)) as Message;
    asked.push(message.execute);
    queueMicrotask(() => {
      if (message.execute !== "guest-sync-delimited") return answer(message, say);
      link.receive(Uint8Array.of(0xff));
      say(`{"return": ${message.arguments?.["id"]}}\n`);
    });
  }, 200);
  return { link, agent: new QemuGuestAgent(link), asked };
}

const reasonOf = (error: unknown): string[] =>
  error instanceof VmError
    ? [error.detail.code, "reason" in error.detail ? error.detail.reason : ""]
    : [String(error)];

test("a call waits for the agent, synchronises once, and returns its answer", async () => {
  const { link, agent, asked } = rig((_, say) => say('{"return": {}}\r\n'));
  const ping = agent.ping();
  link.guestOpened(true);
  await ping;
  await agent.ping();
  expect(asked).toEqual(["guest-sync-delimited", "guest-ping", "guest-ping"]);
});

test("what stood before the sentinel is passed over: late answers, halves of lines, errors", async () => {
  const { link, agent } = rig((_, say) => say('{"return": {}}\n'));
  link.receive(new TextEncoder().encode('{"return": 12}\n{"error": {"desc": "what?"}}\n{"ret'));
  link.guestOpened(true);
  await expect(agent.ping()).resolves.toBeUndefined();
});

test("without an agent a call fails, and says what to install", async () => {
  const { agent } = rig(() => {});
  await expect(agent.ping()).rejects.toThrow("install and start qemu-guest-agent");
});

test("an agent that goes away in the midst of a call fails it, and the next call synchronises again", async () => {
  const { link, agent, asked } = rig(({ execute }, say) => {
    if (asked.length === 2 && execute === "guest-ping") link.guestOpened(false);
    else say('{"return": {}}\n');
  });
  link.guestOpened(true);
  await expect(agent.ping()).rejects.toSatisfy((error) => reasonOf(error)[1] === "it has gone");
  link.guestOpened(true);
  await agent.ping();
  expect(asked.filter((name) => name === "guest-sync-delimited")).toHaveLength(2);
});

test("an error of the agent is told in one line without control characters", async () => {
  const { link, agent } = rig((_, say) =>
    say('{"error": {"class": "GenericError", "desc": "bad\\u001b[2J\\nthing"}}\n'),
  );
  link.guestOpened(true);
  await expect(agent.ping()).rejects.toThrow("the guest's agent refuses guest-ping: bad [2J thing");
});

test.each([
  ["no JSON", "nonsense\n", "its answer is not of its protocol"],
  ["no object", "7\n", "its answer is not of its protocol"],
  ["neither return nor error", "{}\n", "its answer is not of its protocol"],
  ["an error that is none", '{"error": null}\n', "its answer is not of its protocol"],
  ["a line without an end", "x".repeat(2 << 20), "its answer is too long"],
  ["deep nesting", `${"[".repeat(500_000)}\n`, "its answer is not of its protocol"],
])("an answer that is %s fails the call, and the link goes on", async (_, nonsense, reason) => {
  let first = true;
  const { link, agent } = rig((_message, say) => {
    say(first ? nonsense : '{"return": {}}\n');
    first = false;
  });
  link.guestOpened(true);
  await expect(agent.ping()).rejects.toSatisfy((error) => reasonOf(error)[1] === reason);
  await expect(agent.ping()).resolves.toBeUndefined();
});

test.each([
  ['{"return": {"pid": "x"}}', "guest-exec"],
  ['{"return": [1]}', "guest-exec"],
  ['{"return": {"pid": -4}}', "guest-exec"],
])("guest-exec answered with %s is refused", async (line, command) => {
  const { link, agent } = rig((_, say) => say(`${line}\n`));
  link.guestOpened(true);
  await expect(agent.run("true", { mostOutputBytes: 10 })).rejects.toThrow(command);
});

test("output that is no base64, or more than was wanted, is refused", async () => {
  let status = '{"exited": true, "exitcode": 0, "out-data": "!!"}';
  const { link, agent } = rig(({ execute }, say) =>
    say(execute === "guest-exec" ? '{"return": {"pid": 5}}\n' : `{"return": ${status}}\n`),
  );
  link.guestOpened(true);
  await expect(agent.run("true", { mostOutputBytes: 10 })).rejects.toThrow("no base64");
  status = `{"exited": true, "exitcode": 0, "out-data": "${btoa("x".repeat(11))}"}`;
  await expect(agent.run("true", { mostOutputBytes: 10 })).rejects.toSatisfy(
    (error) => reasonOf(error)[0] === "command-output-too-large",
  );
});

test("a file is closed when reading it fails, and a piece longer than asked for ends it", async () => {
  const { link, agent, asked } = rig(({ execute }, say) => {
    if (execute === "guest-file-open") say('{"return": 1000}\n');
    else if (execute === "guest-file-read") say(`{"return": {"buf-b64": "${btoa("x".repeat(100))}"}}\n`);
    else say('{"return": {}}\n');
  });
  link.guestOpened(true);
  expect(await agent.readFile("/x", 0, 50)).toHaveLength(0);
  expect(asked.at(-1)).toBe("guest-file-close");
});

test("a closed link fails what waits and what comes", async () => {
  const { link, agent } = rig(() => {});
  link.guestOpened(true);
  const waiting = agent.ping();
  await new Promise((resolve) => setTimeout(resolve, 20));
  agent.close(new VmError({ code: "machine-ended" }));
  await expect(waiting).rejects.toThrow("the machine has ended");
  await expect(agent.ping()).rejects.toThrow("the machine has ended");
});
