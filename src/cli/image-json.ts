import type { StoredImage } from "../images/image-store.ts";

/** What `inspect --json` prints of an image, and what made it with `--json`. */
export function imageAsJson({ folder, manifest }: StoredImage): string {
  return `${JSON.stringify({ folder, ...manifest }, undefined, 2)}\n`;
}
