/**
 * The handlers inside the interpreter's loop, most frequent first, as counted
 * by `tools/profile-handlers.ts` over a boot and vmbench. All others are
 * called through the handler table.
 */
export const HOT_SHAPES: readonly string[] = [

];

/**
 * Pairs of neighbouring records executed without a dispatch in between, by
 * the same count. The first of a pair must not write memory: what it writes
 * could be the second's code.
 */
export const FUSED_SHAPES: readonly (readonly [string, string])[] = [

];
