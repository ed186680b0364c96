// Where helpers leave 64-bit results beside their status.
import { SCRATCH } from "../../layout/memory-map";

/** i64: quotient; also what readDebug read. */
export const RESULT: usize = SCRATCH + 40;
/** i64: remainder. */
export const RESULT_SECOND: usize = SCRATCH + 48;
