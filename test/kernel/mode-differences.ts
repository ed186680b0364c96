import type { Difference } from "./differences.ts";

const RESERVED_WITHOUT_P =
  'TCG clears P in the error code of a reserved bit. SDM 3A "Page-Fault Exceptions": RSVD is set only with P';
const NOT_CANONICAL_LATE =
  'TCG jumps first and faults at the fetch. SDM 2 under each instruction: #GP(0) "if the target offset in destination is non-canonical"';
const NOT_CANONICAL_STACK =
  'SDM 3A "Stack Fault Exception (#SS)": a stack reference that is not canonical is #SS';
const NOT_CANONICAL_MSR = 'SDM 2 "WRMSR": an address register refuses what is not canonical';
const ERROR_CODE_WIDTH =
  'TCG has 16 times the vector in the error code. SDM 3A "Error Code": bits 3 to 15 are the index in the IDT';
const NO_ALIGNMENT_CHECK = 'TCG has no #AC. SDM 3A "Alignment Check Exception (#AC)"';
const NOT_CHECKED = 'TCG does not check the bits that SDM 3A "Control Registers" reserves';
const EVERY_MSR =
  'TCG lets every MSR be read and written. SDM 2 "RDMSR", "WRMSR": #GP(0) for one that is reserved or not implemented';

const RIGHTS = ["0001", "0003", "0005", "0007"];
/** Lines of the matrix without NXE that have bit 63 set in an entry. */
const WITHOUT_NXE = [
  ...RIGHTS.flatMap((upper) => RIGHTS.map((page) => `no nxe ${upper} ${page}x`)),
  ...["0001x", "0007x"].flatMap((upper) => RIGHTS.map((page) => `no nxe ${upper} ${page}`)),
  ...["0001x", "0007x"].flatMap((upper) => RIGHTS.map((page) => `no nxe ${upper} ${page}x`)),
];

// biome-ignore format: lists of lines
export const QEMU_MODE_DIFFERENCES: readonly Difference[] = [
  {
    guest: "paging-legacy",
    lines: [
      "4 MiB page, bit 21", "2 MiB page, bit 13", "2 MiB page, bit 20", "2 MiB page, bit 51", "2 MiB page, bit 52",
      "2 MiB page, bit 62", "table, bit 62", "2 MiB page, NX without NXE",
    ],
    why: RESERVED_WITHOUT_P,
  },
  {
    guest: "paging-legacy",
    lines: ["entry of the read-only page"],
    why: 'TCG sets the accessed flag before it checks rights. SDM 3A "Accessed and Dirty Flags": set when the entry is used for a translation',
  },
  {
    guest: "paging-legacy",
    lines: ["pointer with RW #", "pointer with PS", "pointer with bit 63", "pointer with bit 51"],
    why: 'SDM 3A "PDPTE Registers": a load of CR3 with a reserved bit in a present pointer is #GP(0)',
  },
  {
    guest: "paging-long",
    lines: [
      ...WITHOUT_NXE,
      "2 MiB page, bit 13", "2 MiB page, bit 20", "2 MiB page, bit 51", "pointer, bit 51", "1 GiB page, bit 13",
      "1 GiB page, bit 29", "1 GiB page, bit 51", "PML4 entry, PS", "PML4 entry, bit 51", "page, bit 51 ",
      "directory entry, bit 51",
    ],
    why: RESERVED_WITHOUT_P,
  },
  {
    guest: "paging-long",
    lines: ["astride #"],
    why: 'SDM 1 "Canonical Addressing": an access with a part that is not canonical is #GP; TCG translates the first part first',
  },
  { guest: "paging-long", lines: ["jmp", "call", "ret", "jmp far", "iretq"], why: NOT_CANONICAL_LATE },
  {
    guest: "paging-long",
    lines: ["push, not canonical", "through rbp", "pop #", "push as a user"],
    why: NOT_CANONICAL_STACK,
  },
  { guest: "paging-long", lines: ["wrmsr of FS base"], why: NOT_CANONICAL_MSR },
  {
    guest: "real",
    lines: [
      "word at ffff #", "word write at ffff", "dword at fffe", "word at ffff by bp", "ss override",
      "32-bit address 10000", "lodsw at ffff", "smaller segment from protected mode",
      "and its base by a load in real mode #", "null selector from protected mode",
    ],
    why: 'TCG checks no limits. SDM 3B "Real-Address Mode": beyond 64 KiB is #GP or #SS, and limits loaded before stay',
  },
  {
    guest: "real",
    lines: ["beyond 64 KiB", "CR0.PG without PE"],
    why: 'TCG lets them pass, and nothing goes on: they are not tried on it. SDM 3B "Real-Address Mode", SDM 2 "MOV—Move to/from Control Registers": #GP(0)',
  },
  { guest: "real", lines: ["wrmsr of what is not there"], why: EVERY_MSR },
  {
    guest: "protected-16",
    lines: [
      "push at 1", "push of 32 bits at 2", "pop at ffff", "pusha with SP = 7", "ebp with 32 bits beyond the limit",
      "esp as a base", "ret beyond the limit", "expand-down 16-bit stack",
    ],
    why: 'TCG checks no limits. SDM 3A "Limit Checking"',
  },
  {
    guest: "fast-calls",
    lines: ["syscall 0008", "syscall with a mask of all", "syscall from the supervisor"],
    why: 'TCG clears the status flags. SDM 2 "SYSCALL": RFLAGS is ANDed with the inverse of IA32_FMASK, no more',
  },
  {
    guest: "fast-calls",
    lines: ["syscall in compatibility mode", "sysret in compatibility mode"],
    why: 'TCG has them as AMD does. SDM 2 "SYSCALL", "SYSRET": #UD outside of 64-bit mode',
  },
  {
    guest: "fast-calls",
    lines: [
      "sysret to 32-bit code", "sysret to 32-bit code, upper half ignored", "sysexit to 32-bit code",
      "sysret, selectors from STAR, not from a table",
    ],
    why: ERROR_CODE_WIDTH,
  },
  {
    guest: "fast-calls",
    lines: ["sysret to 64-bit code", "cs, ss, flags, rsp 002b 0023 000048d6"],
    why: 'TCG loads VM from R11. SDM 2 "SYSRET", Operation: RFLAGS := (R11 & 3C7FD7H) | 2',
  },
  {
    guest: "fast-calls",
    lines: ["sysret, RIP not canonical", "sysexit, RIP not canonical", "sysexit, RSP not canonical"],
    why: NOT_CANONICAL_LATE,
  },
  {
    guest: "fast-calls",
    lines: ["sysexit, CS 3"],
    why: 'SDM 2 "SYSEXIT": #GP(0) "if IA32_SYSENTER_CS[15:2] = 0"',
  },
  {
    guest: "fast-calls",
    lines: [
      "SYSENTER_EIP not canonical", "SYSENTER_ESP not canonical", "LSTAR not canonical", "CSTAR not canonical",
    ],
    why: NOT_CANONICAL_MSR,
  },
  { guest: "fast-calls", lines: ["FMASK beyond 32 bits"], why: 'SDM 2 "WRMSR": #GP(0) for a reserved bit' },
  {
    guest: "exceptions",
    lines: [
      "int through a gate of DPL 0, at 3", "gate not present #", "gate not present, at 3", "task gate", "16-bit gate",
      "call gate #", "beyond the IDT", "#UD into a gate not present", "int3 into a gate not present",
    ],
    why: ERROR_CODE_WIDTH,
  },
  {
    guest: "exceptions",
    lines: ["IST 2 00001000 0010", "IST 2, not aligned"],
    why: 'TCG clears SS. SDM 3A "Stack Switching in IA-32e Mode": SS becomes null with a change of privilege only',
  },
  { guest: "exceptions", lines: ["int1 into a gate not present"], why: 'TCG has no INT1 (F1). SDM 2 "INT1"' },
  {
    guest: "exceptions",
    lines: ["#UD before #GP: lock mov to cr"],
    why: 'TCG takes AMD\'s LOCK MOV for CR8. SDM 2 "MOV—Move to/from Control Registers": #UD "if the LOCK prefix is used"',
  },
  {
    guest: "exceptions",
    lines: ["alignment check at 3", "alignment check before page fault", "alignment check of a push"],
    why: NO_ALIGNMENT_CHECK,
  },
  {
    guest: "exceptions",
    lines: ["iretq to level 0 in 32-bit code, null SS"],
    why: 'SDM 2 "IRET": a null SS is for 64-bit code only',
  },
  {
    guest: "exceptions",
    lines: ["iretq, CS with L and D"],
    why: 'SDM 3A "Code-Segment Descriptor in 64-bit Mode": L and D both set is reserved, a load is #GP',
  },
  {
    guest: "exceptions",
    lines: ["iretq, SS not present"],
    why: 'SDM 2 "IRET", Operation: "IF stack segment is not present THEN #SS(SS selector)"',
  },
  {
    guest: "exceptions",
    lines: ["RF of a fault and of a trap"],
    why: 'TCG saves RFLAGS without RF. SDM 3B "Restart Flag": the value saved for a fault is 1',
  },
  {
    guest: "protection",
    lines: ["with PKE again"],
    why: 'TCG goes on with a translation from before CR4.PKE was set. SDM 3A "Protection Keys": keys hold at each access',
  },
  {
    guest: "protection",
    lines: [
      "invpcid, type 4", "invpcid, identifier without PCIDE #", "invpcid, identifier without PCIDE, type 2",
      "invpcid, reserved bit", "invpcid, address not canonical #", "invpcid, address not canonical, type 1",
      "invpcid at 3", "invpcid, descriptor not mapped", "PCIDE with an identifier in CR3", "PCIDE ok",
      "identifier in CR3", "bit 63 does not stay", "bit 62", "another frame, invpcid", "another address space, kept",
      "PCIDE off",
    ],
    why: 'TCG has no PCID and no INVPCID: CPUID says so. SDM 2 "INVPCID": #UD without the feature; SDM 3A "Process-Context Identifiers (PCIDs)"',
  },
  {
    guest: "protection",
    lines: ["monitor of what is not mapped"],
    why: 'TCG does not read the address. SDM 2 "MONITOR": "subject to the permission checking and faults associated with a byte load"',
  },
  {
    guest: "interrupts",
    lines: ["sti, mov ss"],
    why: 'TCG lets the interrupt in behind MOV SS. SDM 3A "Masking Exceptions and Interrupts When Switching Stacks": the second shadow may count or not; with us, as in Bochs, it does',
  },
  {
    guest: "interrupts",
    lines: ["with a trap behind the same instruction"],
    why: 'TCG takes no trap behind STI. SDM 3B "Single-Step Exception Condition": behind each instruction; SDM 2 "STI" delays maskable interrupts only',
  },
  {
    guest: "control",
    lines: ["CR0.PE clear", "CR0.PG clear in 64-bit code", "CR4.PAE clear"],
    why: "TCG lets them pass, and nothing goes on: they are not tried on it. SDM 3A \"Control Registers\", \"IA-32e Mode Operation\"",
  },
  {
    guest: "control",
    lines: ["CR4, bit 15", "CR4, bit 27", "CR4, bit 32", "CR3, bit 63", "CR3, bit 51"],
    why: 'TCG ends its run at a reserved bit or lets it pass: they are not tried on it. SDM 2 "MOV—Move to/from Control Registers": #GP(0) for "any reserved bit"',
  },
  { guest: "control", lines: ["CR0.NW without CD", "CR0, bit 32", "CR0 reads", "CR8"], why: NOT_CHECKED },
  {
    guest: "control",
    lines: ["EFER.LME clear", "EFER.LMA clear is ignored", "EFER, bit 9", "EFER, bit 16", "EFER, bit 32"],
    why: NOT_CHECKED,
  },
  { guest: "control", lines: ["MSR 4", "MSR c0000000", "MSR ffffffff", "write of MSR 12345"], why: EVERY_MSR },
  { guest: "control", lines: ["PAT with type 2"], why: 'SDM 3A "IA32_PAT MSR": a reserved type is #GP' },
  {
    guest: "control",
    lines: ["no xAPIC from x2APIC without a way through off"],
    why: 'SDM 3A "x2APIC State Transitions": EXTD without EN is #GP',
  },
  { guest: "control", lines: ["wrgsbase, not canonical"], why: 'SDM 2 "WRFSBASE/WRGSBASE": #GP(0) for what is not canonical' },
];

// biome-ignore format: lists of lines
export const BOCHS_MODE_DIFFERENCES: readonly Difference[] = [
  {
    guest: "protection",
    lines: [
      ...["0001", "0003"].flatMap((keys) => [
        `user page ${keys}`, `read-only user page ${keys}`, `user page, no wp ${keys}`, `user page, smap ${keys}`,
        `user page, smap, ac ${keys}`, `2 MiB page ${keys}`,
      ]),
      "supervisor page 0001", "supervisor page 0002", "supervisor page 0003",
      "code that may not be read, run and then read", "with PKE again", "xrstor takes rights away",
    ],
    why: 'SDM 3A "Protection Keys": ADi and WDi hold for the supervisor\'s accesses to user pages, too, and for no supervisor page. TCG agrees',
  },
  {
    guest: "protection",
    lines: ["xsave, xrstor of PKRU"],
    why: 'The CPUID of Bochs does not say where PKRU lies in an XSAVE area. SDM 1 "XSAVE-Managed Features and State Components": leaf 0xd tells',
  },
  {
    guest: "fast-calls",
    lines: ["FMASK beyond 32 bits"],
    why: 'SDM 4 "IA32_FMASK": bits 63 to 32 are reserved. SDM 2 "WRMSR": #GP(0) for a reserved bit',
  },
  {
    guest: "fast-calls",
    lines: ["syscall under TF, masked", "syscall under TF, not masked", "sysret with TF"],
    why: 'Bochs looks at TF before SYSCALL and SYSRET. Processors look behind them: FMASK exists to keep the handler from being stepped, and a TF that SYSRET sets traps at once (Linux, arch/x86/entry/entry_64.S). TCG agrees',
  },
  {
    guest: "exceptions",
    lines: ["IST not canonical", "RSP0 not canonical"],
    why: 'SDM 2 "INT n", Operation: #SS(EXT) where the new stack is not canonical; Bochs names the old SS. TCG agrees',
  },
  {
    guest: "exceptions",
    lines: ["iretq, SS not present"],
    why: 'SDM 2 "IRET", Operation: "IF stack segment is not present THEN #SS(SS selector)"',
  },
];
