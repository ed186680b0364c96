; Virtual-8086 mode: what IOPL guards, INT n through the IDT, I/O permission map, segment bases and limits, and the virtual
; interrupt flag (CR4.VME, CR4.PVI) with the interrupt redirection map.
%include "protected.inc"

; Code of virtual-8086 mode is copied to PLACE and runs at PLACE >> 4 : 0 with its stack below 0x8000:0xff00.
PLACE equ 0x20000
STACK_SEGMENT equ 0x3000

; name, EFLAGS beside VM; the code follows, up to done86.
%macro check86 2
  %push frame
  say %1
  mov dword [origin], 0
  mov dword [resume], %$end
  mov [resume_esp], esp
  mov esi, %$start
  mov edi, PLACE
  mov ecx, %$stop - %$start
  rep movsb
  push dword 0x5555                     ; gs
  push dword 0x4444                     ; fs
  push dword 0x1000                     ; ds
  push dword 0x1000                     ; es
  push dword STACK_SEGMENT
  push dword 0xff00
  push dword 0x20002 | (%2)
  push dword PLACE >> 4
  push dword 0
  iretd
%$start:
  bits 16
%endmacro
%macro done86 0
  ud2                                   ; INT n is what IOPL guards: a check that gets here ends with #06
%$stop:
  bits 32
%$end:
  call new_line
  %pop
%endmacro
%macro try86 3+
  check86 %1, %2
  %3
  done86
%endmacro

IOPL3 equ 0x3000
VIF equ 0x80000
VIP equ 0x100000

main:
  ; INT3 shows AX and the flags: IOPL does not guard it
  mov word [tss + 102], 136
  mov edi, tss + 104
  mov ecx, 8192 / 4 + 8 + 1
  mov eax, -1
  rep stosd
  mov dword [hooks + 3 * 4], show_ax
  ; the TSS: redirection map at 104..135, I/O map from 136
  mov word [gdt + TSS_SELECTOR], 136 + 8192
  mov byte [gdt + TSS_SELECTOR + 5], 0x89
  mov eax, TSS_SELECTOR
  ltr ax
  mov edi, 0
  mov word [0x21 * 4], 0x100            ; vector 21h of the task's own table: 2100:0100
  mov word [0x21 * 4 + 2], 0x2100
  mov dword [0x21100], 0x0b0fcc58       ; pop ax; int3; ud2

  mov word [0x27ff0], 0x0b0f
  say `-- without VME\n`
  try86 "iret", 0, iret
  call common_checks
  try86 "int 21h with IOPL 3, gate of DPL 0", IOPL3, int 0x21

  mov eax, cr4
  or eax, 1
  mov cr4, eax
  say `-- with VME\n`
  call common_checks

  check86 "cli clears VIF", VIF
  cli
  int3
  done86
  check86 "sti sets VIF", 0
  sti
  int3
  done86
  try86 "sti with VIP", VIP, sti
  try86 "cli with VIP", VIP | VIF, cli
  check86 "pushf shows VIF", VIF
  pushf
  pop ax
  int3
  done86
  check86 "pushf shows no VIF", 0
  pushf
  pop ax
  int3
  done86
  check86 "popf sets VIF", 0
  push word 0x202
  popf
  int3
  done86
  check86 "popf clears VIF", VIF
  push word 2
  popf
  int3
  done86
  check86 "popf with VIP sets IF", VIP
  push word 0x202
  popf
  done86
  check86 "popf with VIP clears IF", VIP
  push word 2
  popf
  int3
  done86
  check86 "popf sets TF", 0
  push word 0x102
  popf
  done86
  check86 "iret sets VIF", 0
  push word 0x202
  push word PLACE >> 4
  push word 10
  iret
  times 10 - 9 nop
  int3
  done86
  try86 "iretd", 0, {o32 iret}
  try86 "pushfd", 0, pushfd
  try86 "popfd", 0, popfd
  check86 "IOPL 3: pushf shows IF", IOPL3 | VIF
  pushf
  pop ax
  int3
  done86

  ; redirection
  mov eax, 0x21
  btr [tss + 104], eax
  check86 "redirected int", VIF
  mov ax, 0x1234
  int 0x21
  done86
  mov dword [0x21100], 0xcc585858       ; pop ax three times; int3
  mov word [0x21104], 0x0b0f
  check86 "redirected int, the flags it pushed", VIF
  int 0x21
  done86
  check86 "redirected int, the flags it pushed without VIF", 0
  int 0x21
  done86
  mov dword [0x21100], 0x90cfcc90       ; nop; int3; iret
  check86 "redirected int and back", VIF
  int 0x21
  int3
  done86
  check86 "redirected int with IOPL 3", IOPL3 | VIF
  int 0x21
  int3
  done86

  say `-- protected mode\n`
  mov eax, cr4
  and eax, ~1
  or eax, 2
  mov cr4, eax
  check_user "pvi: sti"
  sti
  int3
  done_user
  check_user_with_flags "pvi: cli", VIF | 2
  cli
  int3
  done_user
  check_user_with_flags "pvi: sti with VIP", VIP | 2
  sti
  done_user
  check_user_with_flags "pvi: pushf and popf", VIF | 2
  pushfd
  pop eax
  int3
  push dword 0x202
  popfd
  int3
  done_user
  mov eax, cr4
  and eax, ~2
  mov cr4, eax
  try_user "no pvi: sti", sti
  ret

common_checks:
  check86 "registers", 0
  mov ax, cs
  int3
  mov ax, ss
  int3
  mov ax, fs
  int3
  mov ax, gs
  int3
  done86
  check86 "a segment load is selector * 16", 0
  mov ax, PLACE >> 4
  mov fs, ax
  mov al, [fs:0]
  int3
  done86
  try86 "offset ffff", 0, mov al, [0xffff]
  try86 "word at ffff", 0, mov ax, [0xffff]
  try86 "offset 10000", 0, {mov al, [dword 0x10000]}
  try86 "ss word at ffff", 0, {mov ax, [ss:0xffff]}
  try86 "cli", 0, cli
  try86 "sti", 0, sti
  try86 "pushf", 0, pushf
  check86 "popf", 0
  push word 2
  popf
  done86
  try86 "int 21h", 0, int 0x21
  try86 "int3", 0, int3
  try86 "into", 0x800, into
  try86 "cli with IOPL 3", IOPL3, cli
  try86 "pushf with IOPL 3", IOPL3, pushf
  try86 "hlt", IOPL3, hlt
  try86 "mov from cr0", IOPL3, {mov eax, cr0}
  try86 "mov to cr0", IOPL3, {mov cr0, eax}
  try86 "lgdt", IOPL3, lgdt [0]
  try86 "clts", IOPL3, clts
  try86 "lldt", IOPL3, lldt ax
  try86 "lar", IOPL3, {lar ax, ax}
  try86 "arpl", IOPL3, {db 0x63, 0xc0}
  try86 "sldt", IOPL3, sldt ax
  try86 "smsw", 0, smsw ax
  try86 "sgdt", 0, sgdt [0]
  try86 "ud2", 0, ud2
  try86 "divide by zero", 0, {div byte [0xfff0]}
  try86 "in, port denied", IOPL3, in al, 0x80
  try86 "jmp far", 0, jmp 0x2000:0x7ff0
  check86 "lock where it may not be", 0
  db 0xf0
  nop
  done86
  mov byte [tss + 136 + 0x80 / 8], 0xfe
  try86 "in, port allowed", 0, in al, 0x80
  try86 "word in, half denied", 0, in ax, 0x80
  mov byte [tss + 136 + 0x80 / 8], 0xff
  ret

; Shows AX, and of the frame the flags from IF and VIF on.
show_ax:
  show16 [esp + 4 + 8 + 28]
  mov eax, [esp + 44 + FRAME_EFLAGS]
  and eax, 0x1a3200
  show eax
  ret

section .bss
  alignb 16
image_end:
