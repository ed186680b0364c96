import type { ContainerConfig } from "./container-image.ts";

/** What a run gives in place of what its container image says. */
export interface GivenProgram {
  /** Empty: the image's. */
  readonly command: readonly string[];
  /** "": none. Undefined: the image's. */
  readonly entryPoint: string | undefined;
  /** Variables by name; one without a value is taken away. */
  readonly environment: ReadonlyMap<string, string | undefined>;
  /** USER, UID, USER:GROUP and so on. Undefined: the image's. */
  readonly user: string | undefined;
  /** Undefined: the image's. */
  readonly workingFolder: string | undefined;
}

/** How the program runs: what was given goes before what the image says. */
export function changedConfig(config: ContainerConfig, given: GivenProgram): ContainerConfig {
  const { command, entryPoint, environment, user, workingFolder } = given;
  // The image's command are parameters of the image's entry point, and of no other, as with docker.
  const ownCommand = entryPoint === undefined ? config.command : [];
  const kept = config.environment.filter((setting) => !environment.has(nameOf(setting)));
  const added = [...environment].flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${value}`],
  );
  return {
    ...config,
    entryPoint: entryPoint === undefined ? config.entryPoint : entryPoint === "" ? [] : [entryPoint],
    command: command.length > 0 ? command : ownCommand,
    environment: [...kept, ...added],
    user: user ?? config.user,
    workingFolder: workingFolder ?? config.workingFolder,
  };
}

function nameOf(setting: string): string {
  return setting.slice(0, setting.indexOf("="));
}
