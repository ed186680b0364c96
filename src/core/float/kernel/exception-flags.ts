// Floating-point exceptions, in the bit order that FSW, FCW and MXCSR share.
export const INVALID: i32 = 0x01;
export const DENORMAL: i32 = 0x02;
export const DIVIDE_BY_ZERO: i32 = 0x04;
export const OVERFLOW: i32 = 0x08;
export const UNDERFLOW: i32 = 0x10;
export const INEXACT: i32 = 0x20;
export const ALL_EXCEPTIONS: i32 = 0x3f;
/** Found before the result is computed: unmasked, they leave the operands as they were. */
export const BEFORE_COMPUTATION: i32 = 0x07;

// Rounding modes, as FCW.RC and MXCSR.RC encode them.
export const ROUND_NEAREST: i32 = 0;
export const ROUND_DOWN: i32 = 1;
export const ROUND_UP: i32 = 2;
export const ROUND_TRUNCATE: i32 = 3;
