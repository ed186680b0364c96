; 64-bit mode: bits of control registers and EFER that may not be set or cleared, MSRs that do not exist, what UMIP, TSD, PCE and
; FSGSBASE forbid, which instructions want privilege, and which 64-bit mode has not.
%include "long.inc"

main:
  ; Control registers, EFER, MSRs.
  %macro try_control 3            ; name, register, expression of RAX with its old value
    check %1
    mov rax, %2
    %3
    mov %2, rax
    done
  %endmacro
  ; One after which nothing would go on if it were let through, as TCG does.
  %macro try_control_unless_tcg 3
    call find_tcg
    je %%skip
    try_control %1, %2, {%3}
    jmp %%end
  %%skip:
    say %1
    say ` not tried\n`
  %%end:
  %endmacro
  try_control_unless_tcg "CR0.PE clear", cr0, {btr rax, 0}
  try_control_unless_tcg "CR0.PG clear in 64-bit code", cr0, {btr rax, 31}
  try_control_unless_tcg "CR4.PAE clear", cr4, {btr rax, 5}
  try_control "CR0.NW without CD", cr0, {bts rax, 29}
  try_control "CR0, bit 32", cr0, {bts rax, 32}
  try_control "CR0, bit 6", cr0, {bts rax, 6}
  check "CR0 reads"
  mov rax, cr0
  show64 rax
  done
  try_control_unless_tcg "CR4, bit 15", cr4, {bts rax, 15}
  try_control_unless_tcg "CR4, bit 27", cr4, {bts rax, 27}
  try_control_unless_tcg "CR4, bit 32", cr4, {bts rax, 32}
  try_control_unless_tcg "CR3, bit 63", cr3, {bts rax, 63}
  try_control_unless_tcg "CR3, bit 51", cr3, {bts rax, 51}
  try_control "CR3, bit 1", cr3, {bts rax, 1}
  check "CR3 reads"
  mov rax, cr3
  sub rax, tables
  show rax
  done
  mov eax, tables
  mov cr3, rax
  check "CR8"
  mov eax, 9
  mov cr8, rax
  mov rbx, cr8
  show rbx
  mov eax, 0
  mov cr8, rax
  mov eax, 16
  mov cr8, rax
  done
  check "CR2 holds what is not canonical"
  mov rax, 0x8000000000000001
  mov cr2, rax
  mov rbx, cr2
  show64 rbx
  done
  check "DR6, bit 32"
  mov rax, 0x100000000
  mov dr6, rax
  done
  check "DR7, bit 32"
  mov rax, 0x100000400
  mov dr7, rax
  done
  check "DR0 not canonical"
  mov rax, 0x800000000000
  mov dr0, rax
  mov rbx, dr0
  show64 rbx
  done
  %macro try_efer 2
    check %1
    mov ecx, 0xc0000080
    rdmsr
    %2
    mov ecx, 0xc0000080
    wrmsr
    rdmsr
    show rax
    done
  %endmacro
  try_efer "EFER.LME clear", {btr eax, 8}
  try_efer "EFER.LMA clear is ignored", {btr eax, 10}
  try_efer "EFER, bit 9", {bts eax, 9}
  try_efer "EFER, bit 16", {bts eax, 16}
  try_efer "EFER, bit 32", {bts edx, 0}
  %macro try_read 2
    mov ecx, %2
    try %1, rdmsr
  %endmacro
  try_read "MSR 4", 4
  try_read "MSR c0000000", 0xc0000000
  try_read "MSR ffffffff", 0xffffffff
  mov ecx, 0x12345
  try "write of MSR 12345", wrmsr
  try_user "rdmsr at 3", rdmsr
  mov ecx, 0x277
  mov eax, 0x01010101
  mov edx, 0x02020202
  try "PAT with type 2", wrmsr
  mov ecx, 0x1b
  check "no xAPIC from x2APIC without a way through off"
  rdmsr
  and eax, ~0x800
  or eax, 0x400
  wrmsr
  done

  ; UMIP, and instructions of level 0.
  mov rax, cr4
  bts rax, 11
  mov cr4, rax
  try_user "umip: sgdt", {sgdt [rsp - 16]}
  try_user "umip: sidt", {sidt [rsp - 16]}
  try_user "umip: sldt", {sldt eax}
  try_user "umip: str", {str eax}
  try_user "umip: smsw", {smsw eax}
  try "umip at 0: smsw", {smsw eax}
  mov rax, cr4
  btr rax, 11
  mov cr4, rax
  try_user "sgdt", {sgdt [rsp - 16]}
  try_user "smsw", {smsw eax}
  try_user "lmsw", {lmsw ax}
  try_user "clts", clts
  try_user "invlpg", {invlpg [rsp]}
  try_user "wbinvd", wbinvd
  try_user "lgdt", {lgdt [rsp]}
  try_user "ltr", {ltr ax}
  try_user "mov to dr", {mov dr0, rax}
  try_user "cli", cli
  try_user "in", {in al, 0x80}
  try_user "stac", stac
  try "stac at 0 without SMAP", {stac}
  try "clac", clac
  check "xgetbv without OSXSAVE"
  xor ecx, ecx
  xgetbv
  done
  check_user "rdtsc with TSD"
  rdtsc
  done_user
  mov rax, cr4
  bts rax, 2
  mov cr4, rax
  try_user "rdtsc with TSD at 3", rdtsc
  try "rdtsc with TSD at 0", rdtsc
  mov rax, cr4
  btr rax, 2
  mov cr4, rax
  try_user "rdpmc at 3 without PCE", rdpmc
  try "wrfsbase without FSGSBASE", {db 0xf3, 0x48, 0x0f, 0xae, 0xd0}
  mov rax, cr4
  bts rax, 16
  mov cr4, rax
  check_user "wrfsbase and rdfsbase at 3"
  mov eax, 0x12345678
  wrfsbase rax
  rdfsbase r8
  done_user
  show r8
  call new_line
  check "wrgsbase, not canonical"
  mov rax, 0x800000000000
  wrgsbase rax
  done
  check_compatible "rdfsbase in compatibility mode"
  db 0xf3, 0x0f, 0xae, 0xc0
  done_compatible
  try "instructions that 64-bit mode has not: push es", {db 0x06}
  try "aaa", {db 0x37}
  try "into", {db 0xce}
  try "lds", {db 0xc5, 0x00}
  try "jmp ptr16:32", {db 0xea}
  try "call ptr16:32", {db 0x9a}
  try "bound", {db 0x62, 0x00}
  try "salc", {db 0xd6}


  ret

; ZF: QEMU's TCG says by CPUID that it is the hypervisor.
find_tcg:
  mov eax, 0x40000000
  cpuid
  cmp ebx, 'TCGT'
  ret
section .bss
image_end:
