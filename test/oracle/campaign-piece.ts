/** What the log of a campaign has of each piece, a line of JSON. */
export interface Piece {
  readonly target: string;
  readonly processor: string;
  /** Of the sources; with a plus sign where they were changed since. */
  readonly commit?: string;
  readonly seed: number;
  readonly cases: number;
  readonly variants: number;
  /** Executed for sure; see JudgeReport. */
  readonly instructions: number;
  readonly completedForms: number;
  readonly forms: number;
  readonly unreached: readonly string[];
  readonly differences: number;
}
