; When interrupts come: behind STI, POPF, IRET, MOV SS and HLT, under CR8, beside single steps; and NMIs, which
; block each other until IRET. The local APIC interrupts its own processor.
;
; "<n" is where an interrupt was taken, n bytes behind the start of the check; "nmi" an NMI.
%include "long.inc"

APIC equ 0xfee00000
VECTOR equ 0x32
LOW_VECTOR equ 0x31

%macro apic_write 2
  mov edi, APIC + (%1)
  mov dword [rdi], %2
%endmacro

; An interrupt of a vector waits.
%macro ask 1
  apic_write 0x300, 0x44000 | (%1)
%endmacro
%macro ask_nmi 0
  apic_write 0x310, 0              ; a shorthand for itself is for fixed interrupts only
  apic_write 0x300, 0x4400
%endmacro

main:
  ; The APIC's page.
  mov qword [pointers + 24], apic_directory + 3
  mov rax, APIC & ~0x1fffff | 0x9b
  mov [apic_directory + ((APIC >> 21) & 511) * 8], rax
  mov qword [hooks + VECTOR * 8], on_interrupt
  mov qword [hooks + LOW_VECTOR * 8], on_interrupt
  mov qword [hooks + 2 * 8], on_nmi
  mov qword [hooks + 8], on_debug
  mov ecx, 0x1b
  rdmsr
  or eax, 0x800
  wrmsr
  apic_write 0xf0, 0x1ff
  mov ebx, ss

  check "behind sti and one instruction"
  ask VECTOR
  sti
  nop
  nop
  cli
  done
  check "sti, cli"
  ask VECTOR
  sti
  cli
  nop
  done
  check "still waiting"
  sti
  nop
  cli
  done
  check "sti twice"
  ask VECTOR
  sti
  sti
  nop
  cli
  done
  check "sti, mov ss"
  ask VECTOR
  sti
  mov ss, ebx
  nop
  nop
  cli
  done
  check "popfq"
  pushfq
  or dword [rsp], 0x200
  ask VECTOR
  popfq
  nop
  cli
  done
  check "popfq, mov ss"
  pushfq
  or dword [rsp], 0x200
  ask VECTOR
  mov ss, ebx
  popfq
  nop
  cli
  done
  check "iretq"
  mov rax, rsp
  push qword KDATA
  push rax
  push qword 0x202
  push qword KCODE
  push qword .iret_to
  ask VECTOR
  iretq
.iret_to:
  nop
  cli
  done
  check "sti, hlt"
  ask VECTOR
  sti
  hlt
  nop
  cli
  done
  check "two, the higher one first"
  ask LOW_VECTOR
  ask VECTOR
  sti
  nop
  nop
  cli
  done
  check "CR8 holds one back"
  mov eax, 3
  mov cr8, rax
  ask VECTOR
  sti
  nop
  nop
  xor eax, eax
  mov cr8, rax
  jmp .behind_cr8
.behind_cr8:
  cli
  done
  check "one at privilege level 3"
  ask VECTOR
  push qword UDATA
  push qword USER(user_stack_top)
  push qword 0x202
  push qword UCODE
  push qword USER(.user)
  iretq
.user:
  nop
  int 0x30
  done
  check "with a trap behind the same instruction"
  ask VECTOR
  pushfq
  or dword [rsp], 0x100
  popfq
  sti
  nop
  nop
  pushfq
  and dword [rsp], ~0x300
  popfq
  done
  cli

  ; NMIs.
  check "nmi"
  ask_nmi
  jmp .nmi1
.nmi1:
  nop
  done
  check "nmi in its handler, behind iretq"
  mov byte [again], 1
  ask_nmi
  jmp .nmi2
.nmi2:
  nop
  done
  check "nmi and interrupt"
  ask VECTOR
  ask_nmi
  jmp .nmi3
.nmi3:
  sti
  nop
  nop
  cli
  done
  check "iretq in an nmi's handler lets the next in"
  mov byte [again], 2
  ask_nmi
  jmp .nmi4
.nmi4:
  nop
  done
  ret

on_interrupt:
  say " <"
  mov rdx, [rbp + FRAME_RIP]
  sub rdx, [origin]
  test byte [rbp + FRAME_CS], 3
  jz .supervisor
  sub rdx, USER_ALIAS
.supervisor:
  shl rdx, 56
  mov ecx, 2
  call put_digits
  cmp dword [rbp + FRAME_VECTOR], VECTOR
  je .end
  say "low"
.end:
  mov edi, APIC
  mov dword [rdi + 0xb0], 0
  ret

on_nmi:
  say " nmi"
  cmp byte [again], 0
  je .end
  mov byte [again], 0
  ask_nmi
  nop
  nop
  jmp .wait
.wait:
  say "."
.end:
  ret

on_debug:
  say " !"
  mov rdx, [rbp + FRAME_RIP]
  sub rdx, [origin]
  shl rdx, 56
  mov ecx, 2
  call put_digits
  mov eax, 0xffff0ff0
  mov dr6, rax
  ret

  align 8
again: dq 0
section .bss
  alignb 4096
apic_directory: resb 4096
image_end:
