import { EXIT_POWERED_OFF } from "../exit-codes.ts";
import type { MachineCommand } from "./machine-commands.ts";

/** Carries out a command on machines that run; returns the exit status. */
export async function runMachineCommand(command: MachineCommand): Promise<number> {
  switch (command.action) {
    case "ps":
      await (await import("./ps-command.ts")).listMachines(command);
      break;
    case "exec":
      return (await import("./exec-command.ts")).execInGuest(command);
    case "cp":
      await (await import("./cp-command.ts")).copyPath(command);
      break;
    case "stop":
      await (await import("./stop-command.ts")).stopMachines(command);
      break;
    case "logs":
      await (await import("./logs-command.ts")).printLog(command);
      break;
    case "attach":
      await (await import("./attach-command.ts")).attach(command.name);
      break;
    case "pause":
    case "resume":
      await (await import("./pause-command.ts")).pauseOrResume(command);
      break;
    case "snapshot":
      await (await import("./snapshot-command.ts")).saveMachine(command);
      break;
    case "balloon":
      await (await import("./balloon-command.ts")).balloon(command);
      break;
  }
  return EXIT_POWERED_OFF;
}
