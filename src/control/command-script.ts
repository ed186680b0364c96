import { VmError } from "../layout/vm-error.ts";
import { quoteForShell } from "./shell-quoting.ts";

export interface CommandSurroundings {
  /** Working folder; the agent's own if absent. */
  readonly folder?: string | undefined;
  /** Added to the agent's environment. */
  readonly environment?: Readonly<Record<string, string>> | undefined;
}

/**
 * A command as text for the guest's shell: text is taken for such already, a list of words is taken as it is.
 *
 * @throws {VmError} `option-invalid`.
 */
export function commandScript(
  command: string | readonly string[],
  { folder, environment = {} }: CommandSurroundings = {},
): string {
  const text = typeof command === "string" ? command : command.map(quoteForShell).join(" ");
  const settings = Object.entries(environment).map(([name, value]) => {
    if (!/^[A-Za-z_]\w*$/.test(name)) {
      const expected = "a name of letters, digits and _";
      throw new VmError({ code: "option-invalid", option: "environment variable", value: name, expected });
    }
    return `export ${name}=${quoteForShell(value)}`;
  });
  const change = folder === undefined ? [] : [`cd ${quoteForShell(folder)} || exit 126`];
  const script = [...change, ...settings, text].join("\n");
  if (script.includes("\0")) {
    const expected = "no NUL character";
    throw new VmError({ code: "option-invalid", option: "command", value: "", expected });
  }
  return script;
}
