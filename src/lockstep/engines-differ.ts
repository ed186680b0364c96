/** Two engines that must agree do not. The message is one line; the report says more. */
export class EnginesDiffer extends Error {
  override readonly name = "EnginesDiffer";
  /** What differs, and the guest's code around, in lines for a person. */
  readonly report: readonly string[];
  readonly what: string;

  constructor(what: string, report: readonly string[] = []) {
    super(`the engines differ: ${what}`);
    this.what = what;
    this.report = report;
  }
}
