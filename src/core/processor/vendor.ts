// Where AMD's and Intel's processors differ. CPUID says AuthenticAMD, so AMD's behaviour holds.

/** SYSENTER and SYSEXIT raise #UD in long mode. APM 3 "SYSENTER", "SYSEXIT": legacy mode only. */
export const SYSENTER_IN_LONG_MODE: bool = false;

/** SYSCALL works outside of 64-bit mode: compatibility mode (CSTAR) and legacy mode. APM 3 "SYSCALL". */
export const SYSCALL_OUTSIDE_64_BIT_MODE: bool = true;

/** SYSRET to a non-canonical RCX faults at CPL 3 when the target is fetched, not in SYSRET at CPL 0. APM 3 "SYSRET". */
export const SYSRET_CHECKS_RCX: bool = false;

/** SYSRET leaves base, limit and attributes of SS as they are. APM 3 "SYSRET". */
export const SYSRET_LOADS_SS_ATTRIBUTES: bool = false;

/** Loading a null selector clears base and limit, as processors since Zen 2 do. APM 3 "CPUID", Fn8000_0021_EAX[NullSelectorClearsBase]. */
export const NULL_SELECTOR_CLEARS_BASE: bool = true;

/** What LAR returns of a descriptor's second doubleword: the limit's upper bits too. APM 3 "LAR". */
export const LAR_MASK: u64 = 0x00ffff00;
