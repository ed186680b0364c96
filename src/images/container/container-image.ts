import type { Readable } from "node:stream";
import { type JsonObject, objectIn, textIn, textsIn } from "./json-value.ts";

/** What a container image says of how to run it (OCI image-spec, config.md). */
export interface ContainerConfig {
  /** Stays before every command. */
  readonly entryPoint: readonly string[];
  /** What follows on the entry point where `run` gives no other words. The two together are never empty. */
  readonly command: readonly string[];
  /** NAME=VALUE. */
  readonly environment: readonly string[];
  /** "" means root; else USER, UID, USER:GROUP and so on. */
  readonly user: string;
  readonly workingFolder: string;
  /** Such as 80/tcp. */
  readonly ports: readonly string[];
}

/** A container image that has been opened. */
export interface ContainerImage {
  readonly config: ContainerConfig;
  /** From the lowest to the highest; each opens the layer's tar archive, decompressed, anew. */
  readonly layers: readonly (() => Readable)[];
}

const DEFAULT_COMMAND = ["/bin/sh"];
const DEFAULT_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Reads the configuration of an image, as OCI and docker have it. */
export function containerConfig(image: JsonObject | undefined): ContainerConfig {
  const config = objectIn(image, "config");
  const environment = textsIn(config, "Env").filter((setting) => /^[^=\0]+=[^\0]*$/s.test(setting));
  const entryPoint = textsIn(config, "Entrypoint");
  const command = textsIn(config, "Cmd");
  const hasPath = environment.some((setting) => setting.startsWith("PATH="));
  return {
    entryPoint,
    command: entryPoint.length + command.length > 0 ? command : DEFAULT_COMMAND,
    environment: hasPath ? environment : [DEFAULT_PATH, ...environment],
    user: textIn(config, "User") ?? "",
    workingFolder: textIn(config, "WorkingDir") || "/",
    ports: Object.keys(objectIn(config, "ExposedPorts") ?? {}).filter((port) =>
      /^\d{1,5}(\/\w+)?$/.test(port),
    ),
  };
}
