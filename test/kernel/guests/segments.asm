; Segments: types, limits, expand-down, privilege, null selectors, conforming code, the LDT, and what LAR, LSL, VERR
; and VERW say of them.
%macro EXTRA_GDT 0
  descriptor AT(small), 15, 0x93, 0x4               ; 30 data of 16 bytes
  descriptor AT(small), 15, 0x91, 0x4               ; 38 read-only
  descriptor 0, 0xff, 0x97, 0xc                 ; 40 expand-down: from 1 MiB to 4 GiB
  descriptor AT(small) - 0x1000, 0x0fff, 0x97, 0x0  ; 48 expand-down: 1000 to ffff
  descriptor 0, 0xfffff, 0x99, 0xc              ; 50 execute-only
  descriptor 0, 0xfffff, 0x9f, 0xc              ; 58 conforming, DPL 0
  descriptor 0, 0xfffff, 0x13, 0xc              ; 60 data, not present
  descriptor AT(ldt), 23, 0x82, 0                   ; 68 LDT
  descriptor 0, 0xfffff, 0xb3, 0xc              ; 70 data, DPL 1
  descriptor AT(small), 0, 0x93, 0x4                ; 78 data of one byte
  descriptor AT(short_code), short_code_end - short_code - 1, 0x9b, 0x4 ; 80 code, limited
  descriptor AT(ldt), 23, 0x02, 0                   ; 88 LDT, not present
  descriptor 0, 0xfffff, 0x9b, 0x4              ; 90 code up to 1 MiB
  gate KCODE, 0, 0x8c, 0                        ; 98 call gate
  descriptor 0, 0xfffff, 0x92, 0xc              ; a0 data, not yet accessed
  descriptor AT(cross_code), cross_limit, 0x9b, 0x4 ; a8 code, its limit behind a page's start
  descriptor AT(small), 15, 0xf3, 0x4           ; b0 user data of 16 bytes
%endmacro
%include "protected.inc"

main:
  mov eax, 0x30
  mov fs, eax
  try "byte inside", mov al, [fs:15]
  try "byte outside", mov al, [fs:16]
  try "doubleword inside", mov eax, [fs:12]
  try "doubleword half outside", mov eax, [fs:13]
  try "write outside", mov [fs:16], al
  try "offset ffffffff", mov al, [fs:-1]
  try "doubleword at ffffffff", mov eax, [fs:-1]
  try "read-modify-write outside", add dword [fs:14], 1
  try "string outside", {fs movsd}

  mov eax, 0x38
  mov fs, eax
  try "read read-only", mov al, [fs:0]
  try "write read-only", mov [fs:0], al
  try "limit before type", mov [fs:16], al

  mov eax, 0x40
  mov fs, eax
  try "expand-down at its limit", mov al, [fs:0xfffff]
  try "expand-down above its limit", mov al, [fs:0x100000]
  try "expand-down astride", mov ax, [fs:0xfffff]
  mov eax, 0x48
  mov fs, eax
  try "16-bit expand-down at its limit", mov al, [fs:0xfff]
  try "16-bit expand-down above its limit", mov al, [fs:0x1000]
  try "16-bit expand-down at ffff", mov al, [fs:0xffff]
  try "16-bit expand-down beyond ffff", mov al, [fs:0x10000]
  try "16-bit expand-down astride ffff", mov ax, [fs:0xffff]

  mov eax, 0x78
  mov fs, eax
  try "one byte: byte 0", mov al, [fs:0]
  try "one byte: word 0", mov ax, [fs:0]

  mov eax, 0x50
  try "load execute-only", {mov fs, ax}
  mov eax, KCODE
  mov fs, eax
  try "write code", mov [fs:header], al
  try "read code", mov al, [fs:header]
  try "write through cs", mov [cs:header], al

  xor eax, eax
  mov fs, eax
  try "read through null", mov al, [fs:0]
  try "write through null", mov [fs:0], al
  mov eax, 3
  try "null with RPL 3", {mov fs, ax}
  try "null in ss", {mov ss, ax}
  xor eax, eax
  try "null 0 in ss", {mov ss, ax}

  mov eax, 0x60
  try "not present in fs", {mov fs, ax}
  try "not present in ss", {mov ss, ax}
  mov eax, 0x38
  try "read-only in ss", {mov ss, ax}
  mov eax, 0x70
  try "DPL 1 in ss", {mov ss, ax}
  try "DPL 1 in fs", {mov fs, ax}
  mov eax, 0x11
  try "RPL 1 in ss", {mov ss, ax}
  try "RPL 1 in fs", {mov fs, ax}
  mov eax, 0xfff8
  try "beyond the table", {mov fs, ax}
  mov eax, 0x68
  try "LDT in fs", {mov fs, ax}
  mov eax, 0x98
  try "call gate in fs", {mov fs, ax}
  try "mov to cs", {db 0x8e, 0xc8}

  check "accessed bit"
  mov eax, 0xa0
  mov fs, eax
  movzx eax, byte [gdt + 0xa0 + 5]
  show eax
  done

  ; the LDT
  xor eax, eax
  lldt ax
  mov eax, 4
  try "ldt selector without an LDT", {mov fs, ax}
  mov eax, 0x30
  try "lldt of data", lldt ax
  mov eax, 0x88
  try "lldt not present", lldt ax
  mov eax, 0x6c
  try "lldt of an LDT selector", lldt ax
  mov eax, 0x68
  try "lldt", lldt ax
  mov eax, 4
  try "ldt entry 0", {mov fs, ax}
  mov eax, 0x0c
  try "ldt entry 1, not present", {mov fs, ax}
  mov eax, 0x14
  try "ldt entry 2, user data", {mov fs, ax}
  mov eax, 0x1c
  try "ldt entry 3, outside", {mov fs, ax}
  check "sldt"
  sldt eax
  show eax
  done
  xor eax, eax
  try "lldt null", lldt ax

  ; asking
%macro ask 1
  check "ask %1"
  mov ebx, %1
  mov ecx, 0x55555555
  lar ecx, ebx
  call show_zf
  and ecx, 0x00f0ff00
  show ecx
  mov ecx, 0x55555555
  lsl ecx, ebx
  call show_zf
  show ecx
  verr bx
  call show_zf
  verw bx
  call show_zf
  done
%endmacro
  ask 0x00
  ask 0x08
  ask 0x10
  ask 0x23
  ask 0x28
  ask 0x30
  ask 0x38
  ask 0x40
  ask 0x50
  ask 0x58
  ask 0x60
  ask 0x68
  ask 0x73
  ask 0x98
  ask 0xfff8
  ask 0x0c

  ; limits of code
  try "far jump beyond 1 MiB", jmp 0x90:main
%macro check_there 1
  check %1
  mov dword [origin], 0
%endmacro
  check "far jump beyond the limit"
  jmp 0x80:short_code_end - short_code
  done
  check_there "runs to the limit"
  jmp 0x80:0
  done
  check_there "astride the limit"
  jmp 0x80:short_astride - short_code
  done
  check_there "relative jump beyond the limit"
  jmp 0x80:short_jump - short_code
  done
  check_there "conditional jump beyond the limit"
  jmp 0x80:short_branch - short_code
  done
  check_there "limit on the next page"
  jmp 0xa8:0
  done

  ; conforming code
  check "jump to conforming code"
  jmp 0x58:.there
.there:
  mov eax, cs
  show eax
  jmp KCODE:.back
.back:
  done
  check_user "conforming code from 3"
  jmp 0x5b:.there3
.there3:
  done_user
  check_user "conforming code from 3, RPL 0"
  jmp 0x58:.there30
.there30:
  done_user
  try_user "jump to inner code", {jmp KCODE:main}
  try_user "jump to inner code, RPL 3", {jmp 0x0b:main}
  try_user "jump to data", {jmp UDATA:main}
  try_user "inner data", {mov eax, 0x10}
  mov eax, KDATA
  check_user "inner data in fs"
  mov eax, KDATA
  mov fs, ax
  done_user
  check_user "user data in ss"
  mov eax, UDATA
  mov ss, ax
  done_user
  check_user "inner data in ss"
  mov eax, KDATA
  mov ss, ax
  done_user

  ; the stack
  check_user "push below a small stack"
  mov eax, 0xb3
  mov ss, eax
  mov esp, 2
  push eax
  done_user
  check_user "pop above a small stack"
  mov eax, 0xb3
  mov ss, eax
  mov esp, 14
  pop eax
  done_user
  check_user "ebp above a small stack"
  mov eax, 0xb3
  mov ss, eax
  mov ebp, 13
  mov eax, [ebp]
  done_user
  check_user "push at 0 wraps to ffffffff"
  mov eax, 0xb3
  mov ss, eax
  xor esp, esp
  push eax
  done_user

  ; privileged instructions
  try_user "lgdt at 3", lgdt [gdt_pointer]
  try_user "lidt at 3", lidt [idt_pointer]
  try_user "lldt at 3", lldt ax
  try_user "ltr at 3", ltr ax
  try_user "mov from cr0 at 3", {mov eax, cr0}
  try_user "mov to cr3 at 3", {mov cr3, eax}
  try_user "mov from dr0 at 3", {mov eax, dr0}
  try_user "clts at 3", clts
  try_user "lmsw at 3", lmsw ax
  try_user "hlt at 3", hlt
  try_user "cli at 3", cli
  try_user "sti at 3", sti
  try_user "in at 3", in al, 0x80
  try_user "invlpg at 3", invlpg [0]
  try_user "rdmsr at 3", rdmsr
  try_user "wbinvd at 3", wbinvd
  try_user "sgdt at 3", sgdt [user_stack_top - 64]
  try_user "str at 3", str eax
  try_user "smsw at 3", smsw eax
  try "ltr of a busy TSS", {call load_task}
  ret

show_zf:
  jz .yes
  say " -"
  ret
.yes:
  say " z"
  ret

load_task:
  mov eax, TSS_SELECTOR
  ltr ax
  ret

  align 4096
short_code:
  nop
  jmp dword KCODE:.home
.home equ ended
short_jump:
  jmp short short_code_end + 3
short_branch:
  xor eax, eax
  jz short_code_end + 3
short_astride:
  nop
  db 0xb8, 0, 0                 ; mov eax, of which two bytes are missing
short_code_end:
  dw 0
  times 32 nop
  ud2
ended:
  say " ran"
  ud2

  align 4096
  times 4000 nop
cross_code:
  times 120 nop
cross_limit equ $ - cross_code - 1
  times 120 nop
  ud2

ldt:
  descriptor 0, 0xfffff, 0x93, 0xc
  descriptor 0, 0xfffff, 0x13, 0xc
  descriptor 0, 0xfffff, 0xf3, 0xc
small: times 16 db 0x11
  times 4096 db 0
section .bss
image_end:
