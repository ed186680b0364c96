import { readContainer } from "../images/container/kept-container.ts";
import type { StoredImage } from "../images/image-store.ts";

/** What `inspect --json` prints of an image, and what made it with `--json`. */
export function imageAsJson(image: StoredImage): string {
  const { folder, manifest } = image;
  const program = readContainer(image)?.config;
  return `${JSON.stringify({ folder, ...manifest, ...(program && { program }) }, undefined, 2)}\n`;
}
