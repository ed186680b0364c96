import type { Form, Instruction } from "../../src/isa/instruction.ts";

const SELECTORS = "loads selectors of the host's GDT";

/** Instructions that never run natively, with the reason: the one place that decides it. */
const EXCLUDED: readonly (readonly [names: string, reason: string])[] = [
  ["syscall sysenter sysret sysexit", "enters the host's kernel"],
  ["int into", "vectors reach the host's kernel; INT3 is an instruction of its own"],
  ["int1", "a hypervisor that intercepts it reports the address of INT1 itself, not the next one"],
  ["cpuid xgetbv", "tells of the host's processor"],
  ["rdtsc rdtscp rdpmc rdrand rdseed rdpid", "gives another value each time"],
  ["sgdt sidt sldt smsw str", "the host's kernel emulates or refuses them (UMIP)"],
  ["lar lsl verr verw arpl", "depends on the host's GDT"],
  ["lds les lfs lgs lss", SELECTORS],
  ["retf iret iretd iretq", SELECTORS],
  ["xsave xsave64 xrstor xrstor64 xsaveopt xsavec xsaves xrstors", "area depends on the host's features"],
  ["monitor mwait monitorx mwaitx umonitor umwait tpause", "waits, or is refused by the hypervisor"],
  ["vmcall vmmcall vmfunc", "calls the host's hypervisor"],
  ["wrpkru rdpkru clzero", "depends on the host's features"],
  ["wrfsbase wrgsbase", "a base that is kernel-like would be seen by the host's signal delivery"],
];

const REASONS = new Map(
  EXCLUDED.flatMap(([names, reason]) => names.split(" ").map((name) => [name, reason] as const)),
);

/** Why a form is not generated; undefined when it is. */
export function exclusion(instruction: Instruction, form: Form): string | undefined {
  const reason = REASONS.get(instruction.mnemonic);
  if (reason !== undefined) return reason;
  if (form.operands.some((o) => o.startsWith("far") || o.startsWith("m16:"))) return SELECTORS;
  if (instruction.endsBlock && /^FF \/[35]$/i.test(form.opcode)) return SELECTORS;
  if (form.operands.includes("sreg") && instruction.mnemonic !== "push" && form.operands[0] === "sreg")
    return SELECTORS;
  if (["fs", "gs", "ss", "ds", "es"].includes(form.operands[0] ?? "") && instruction.mnemonic === "pop")
    return SELECTORS;
  if (form.only64 !== true && form.not64 === true && /^(4[0-9a-f]|c4|c5|62)\b/i.test(form.opcode))
    return "is a prefix in 64-bit code";
  return undefined;
}
