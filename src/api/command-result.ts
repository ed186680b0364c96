import { joinBytes } from "../control/file-transfer.ts";
import type { CommandOutcome } from "../control/guest-control.ts";
import { VmError } from "../layout/vm-error.ts";
import type { CommandResult, ExecOptions } from "./options.ts";

export function commandResult({ status, stdout, stderr }: CommandOutcome): CommandResult {
  const decode = (output: Uint8Array) => new TextDecoder().decode(output);
  return {
    status,
    stdout: decode(stdout),
    stderr: decode(stderr),
    stdoutBytes: stdout,
    stderrBytes: stderr,
  };
}

/**
 * Standard input as bytes; a stream is read to its end.
 * @throws {VmError} `option-invalid`, where it has more than `mostBytes`.
 */
export async function allBytes(
  input: ExecOptions["input"],
  mostBytes: number,
): Promise<Uint8Array | undefined> {
  if (input === undefined || input instanceof Uint8Array) return input;
  if (typeof input === "string") return new TextEncoder().encode(input);
  const pieces: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const piece of input) {
    pieces.push(piece);
    sizeBytes += piece.length;
    if (sizeBytes <= mostBytes) continue;
    const expected = `at most ${mostBytes} bytes; write larger input to a file in the guest`;
    throw new VmError({ code: "option-invalid", option: "input", value: "", expected });
  }
  return joinBytes(pieces);
}
