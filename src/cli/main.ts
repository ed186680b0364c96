/** The program behind bin/ringfence. */
import { readFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { loadModule, ROOT } from "../host/node/bundle.ts";
import { keepCompiledSources } from "../host/node/compile-cache.ts";
import { ownArguments } from "../host/node/process-words.ts";
import { type Command, type HelpTopic, parseCommandLine } from "./command-line.ts";
import { describeError } from "./describe-error.ts";
import { EXIT_BAD_INPUT, EXIT_OUTPUT_LOST, EXIT_POWERED_OFF } from "./exit-codes.ts";
import { completionHelp, diskHelp, generalHelp, machineHelp, runHelp, statsHelp } from "./help.ts";
import { imageHelp } from "./image-help.ts";
import { isImageCommand } from "./image-options.ts";
import { detach, isDetachedProcess } from "./machines/detach.ts";
import { checkDetachable } from "./program-options.ts";

let command: Command | undefined;
/** Knows the classes of errors of the program that runs: the bundle has its own. */
let describe = describeError;

/** Ends the process with one line on standard error. The terminal is restored by its own exit handler. */
function fail(error: unknown): never {
  const { line, status } = describe(error, command);
  const raw = process.stdin.isTTY && process.stdin.isRaw;
  process.stderr.write(`${raw ? "\r" : ""}ringfence: ${line}${raw ? "\r" : ""}\n`);
  process.exit(status);
}

async function main(): Promise<number> {
  const words = process.argv.slice(2);
  // A container's program takes any bytes; messages to a guest's agent are JSON, and take text.
  command = parseCommandLine(words[0] === "run" ? ownArguments() : words);
  if (command.command !== "run") process.stdout.on("error", () => process.exit(EXIT_OUTPUT_LOST));
  switch (command.command) {
    case "version":
      process.stdout.write(`ringfence ${readVersion()}\n`);
      return EXIT_POWERED_OFF;
    case "help": {
      process[command.asked ? "stdout" : "stderr"].write(helpOn(command.topic));
      return command.asked ? EXIT_POWERED_OFF : EXIT_BAD_INPUT;
    }
    case "stats": {
      const { stats } = await import("./stats.ts");
      return stats(command.options);
    }
    case "run": {
      // Only a run needs the machine; help and version should not wait for it to load.
      keepCompiledSources();
      if (command.options.detach && !isDetachedProcess()) {
        if (command.options.image !== undefined) checkDetachable(command.options.image.program);
        return detach(command.options.json);
      }
      const program = await loadModule("run", () => import("./run.ts"));
      describe = program.describeError;
      return program.run(command.options);
    }
    case "completion": {
      const { completionScript } = await import("./completion/completion-script.ts");
      process.stdout.write(completionScript(command.shell));
      return EXIT_POWERED_OFF;
    }
    case "machine": {
      const { runMachineCommand } = await import("./machines/run-machine-command.ts");
      return runMachineCommand(command.options);
    }
    case "disk": {
      const { runDiskCommand } = await import("./disk.ts");
      return runDiskCommand(command.options);
    }
    case "image": {
      const { runImageCommand } = await import("./images.ts");
      return runImageCommand(command.options);
    }
  }
}

function helpOn(topic: HelpTopic): string {
  switch (topic) {
    case "general":
      return generalHelp();
    case "run":
      return runHelp();
    case "disk":
      return diskHelp();
    case "stats":
      return statsHelp();
    case "completion":
      return completionHelp();
    default:
      return isImageCommand(topic) ? imageHelp(topic) : machineHelp(topic);
  }
}

function readVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(path.join(ROOT, "package.json"), "utf8"));
  return (manifest as { version: string }).version;
}

// bin/ringfence has set it for this process, not for those that it starts.
if (process.env["RINGFENCE_OWN_COMPILE_CACHE"] !== undefined) {
  delete process.env["RINGFENCE_OWN_COMPILE_CACHE"];
  delete process.env["NODE_COMPILE_CACHE"];
}
// A message that nobody reads must not become a failure of its own.
process.stderr.on("error", () => {});
process.on("uncaughtException", fail);
process.on("unhandledRejection", fail);
main().then((status) => process.exit(status), fail);
