import { printableText } from "./printable-name.ts";

const MOST_NAMED = 100;

/** What a copy of a folder has come to so far. */
export class CopyCount {
  /** Regular files and symbolic links. */
  files = 0;
  /** Of the files' contents. */
  bytes = 0;
  /** Files that are none of these nor folders, and were not copied: not all are named. */
  leftOut = 0;
  readonly leftOutNames: string[] = [];

  leaveOut(name: string): void {
    this.leftOut++;
    if (this.leftOutNames.length < MOST_NAMED) this.leftOutNames.push(printableText(name));
  }
}
