import { bytesOfText } from "../host/node/byte-text.ts";
import { changedStart } from "../images/container/container-init.ts";
import { resolveUser } from "../images/container/container-user.ts";
import { changedConfig, type GivenProgram } from "../images/container/given-program.ts";
import { commandScript, givenScript } from "../images/container/given-script.ts";
import { type KeptContainer, readContainer } from "../images/container/kept-container.ts";
import type { ImageManifest } from "../images/image-manifest.ts";
import type { StoredImage } from "../images/image-store.ts";
import type { ImageChoice } from "./command-line.ts";
import { programInWords, programOption } from "./program-options.ts";
import { UsageError } from "./usage-error.ts";

/** Of one word or setting, with the zero byte behind it: 32 pages (Linux, MAX_ARG_STRLEN). */
const MOST_WORD_BYTES = 128 << 10;
/** Of all together: a quarter of the stack's 8 MiB (Linux, execve(2)), but for what the image's start adds. */
const MOST_BYTES = (2 << 20) - (64 << 10);
/** Linux counts a pointer to each. */
const POINTER_BYTES = 8;

/**
 * Whether this image's program takes what was given. Asked before anything is changed: an image whose initial RAM disk
 * knows nothing of it would run without.
 *
 * @throws {UsageError}
 */
export function checkTakes({ name, program }: ImageChoice, manifest: ImageManifest): void {
  const stated = programInWords(program);
  if (stated === undefined || manifest.container !== undefined) return;
  if (manifest.takesCommand && programOption(program) === undefined) return;
  throw new UsageError(
    manifest.exitStatusPort === undefined
      ? `${name} takes no ${stated}: it is a whole system; boot it, then ringfence exec NAME -- COMMAND`
      : `${name} takes no ${stated}: an earlier Ringfence imported it; ringfence rm ${name}, and import its file again`,
  );
}

/**
 * What follows on the image's initial RAM disk so that its program runs as given; undefined where nothing was.
 * @throws {UsageError} `VmError` `image-invalid`, `file-*`.
 */
export function givenArchive(
  { name, program }: ImageChoice,
  image: StoredImage,
): Uint8Array<ArrayBuffer> | undefined {
  if (programInWords(program) === undefined) return undefined;
  const container = readContainer(image);
  if (container === undefined) {
    checkSize(program.command);
    return givenScript(commandScript(program.command));
  }
  return givenScript(startOf(container, program, name));
}

function startOf({ config, accounts }: KeptContainer, program: GivenProgram, name: string): string {
  const changed = changedConfig(config, program);
  const user = resolveUser(changed.user, accounts);
  if (user === undefined)
    throw new UsageError(
      `--user ${changed.user}: ${name} had no such user or group when it was imported; a number needs none, such as 1000:1000`,
    );
  checkSize([...changed.entryPoint, ...changed.command, ...changed.environment]);
  return changedStart(changed, user);
}

/** @throws {UsageError} When Linux in the guest would start no program with these words and settings. */
function checkSize(words: readonly string[]): void {
  const sizes = words.map((word) => bytesOfText(word).length + 1);
  const longest = sizes.reduce((most, size) => Math.max(most, size), 0);
  const all = sizes.reduce((sum, size) => sum + size + POINTER_BYTES, 0);
  if (longest > MOST_WORD_BYTES) throw tooLong("one word or variable", MOST_WORD_BYTES, longest);
  if (all > MOST_BYTES) throw tooLong("command and environment together", MOST_BYTES, all);
}

function tooLong(what: string, mostBytes: number, bytes: number): UsageError {
  const remedy = "put them into a file, and give it the guest with --share";
  return new UsageError(
    `${what} may have ${mostBytes} bytes in the guest, and ${bytes} are given; ${remedy}`,
  );
}
