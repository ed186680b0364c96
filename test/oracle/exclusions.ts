import type { Form, Instruction } from "../../src/isa/instruction.ts";

/** Instructions that never run natively, with the reason: the one place that decides it. */
const EXCLUDED: readonly (readonly [names: string, reason: string])[] = [
  ["syscall sysenter sysret sysexit", "enters the host's kernel"],
  ["int into", "vectors reach the host's kernel; INT3 and INT1 are their own instructions"],
  ["cpuid xgetbv", "tells of the host's processor"],
  ["rdtsc rdtscp rdpmc rdrand rdseed rdpid", "gives another value each time"],
  ["sgdt sidt sldt smsw str", "the host's kernel emulates or refuses them (UMIP)"],
  ["lar lsl verr verw arpl", "depends on the host's GDT"],
  ["lds les lfs lgs lss", "loads selectors of the host's GDT"],
  ["retf iret iretd iretq", "loads selectors of the host's GDT"],
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
  if (form.operands.some((o) => o.startsWith("far") || o.startsWith("m16:")))
    return "loads selectors of the host's GDT";
  if (form.operands.includes("sreg") && instruction.mnemonic !== "push" && form.operands[0] === "sreg")
    return "loads selectors of the host's GDT";
  if (["fs", "gs", "ss", "ds", "es"].includes(form.operands[0] ?? "") && instruction.mnemonic === "pop")
    return "loads selectors of the host's GDT";
  if (form.only64 !== true && form.not64 === true && /^(4[0-9a-f]|c4|c5|62)\b/i.test(form.opcode))
    return "is a prefix in 64-bit code";
  return undefined;
}
