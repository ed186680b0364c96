; Debug registers and single steps: instruction, data and port breakpoints, their lengths, RF, TF, general detect, INT1,
; INT3 and INTO, the shadow of a load of SS.
;
; "!" shows a #DB or #BP as it comes: EIP from the check's start, RF of the saved flags, and DR6.
%include "protected.inc"

%macro set_dr7 1
  mov eax, %1
  mov dr7, eax
%endmacro

; A breakpoint at a label: number, label, R/W and length bits as DR7 has them at 16.
%macro breakpoint 3
  mov eax, %2
  mov dr%1, eax
  set_dr7 0x400 | (2 << (2 * %1)) | ((%3) << (16 + 4 * %1))
%endmacro
EXECUTE equ 0
WRITE1 equ 1
WRITE2 equ 5
WRITE4 equ 13
ACCESS1 equ 3
ACCESS4 equ 15
PORT1 equ 2
PORT2 equ 6

%macro finished 0
  set_dr7 0x400
  done
%endmacro

main:
  mov dword [hooks + 4], on_debug
  mov dword [hooks + 12], on_debug

  check "instruction breakpoint"
  breakpoint 0, .at1, EXECUTE
  nop
.at1:
  inc ecx
  nop
  finished

  check "on the first instruction behind DR7"
  breakpoint 1, .at2, EXECUTE
.at2:
  nop
  finished

  check "in a loop"
  mov ecx, 3
  breakpoint 2, .at3, EXECUTE
.at3:
  dec ecx
  jnz .at3
  finished

  check "not at its first byte"
  breakpoint 3, .at4 + 1, EXECUTE
.at4:
  mov eax, 1
  finished

  check "two at one place, one enabled"
  mov eax, .at5
  mov dr0, eax
  mov dr1, eax
  set_dr7 0x401
.at5:
  nop
  finished

  check "on a jump's target, another page"
  breakpoint 0, far_place, EXECUTE
  call far_place
  finished

  check "data write"
  breakpoint 0, data, WRITE4
  mov dword [data], 5
  nop
  mov eax, [data]
  mov byte [data + 4], 1
  mov byte [data - 1], 1
  mov byte [data + 3], 1
  nop
  finished

  check "data access"
  breakpoint 1, data, ACCESS1
  mov al, [data]
  mov al, [data + 1]
  mov [data], al
  mov eax, [data - 3]
  nop
  finished

  check "read-modify-write"
  breakpoint 0, data, WRITE2
  inc dword [data]
  xchg [data], eax
  nop
  finished

  check "length aligns the address"
  breakpoint 0, data + 2, WRITE4
  mov byte [data], 1
  nop
  finished

  check "push"
  mov ebx, esp
  mov esp, data + 4
  breakpoint 0, data, WRITE4
  push ecx
  mov esp, ebx
  finished

  check "rep movsb"
  mov esi, source
  mov edi, data - 2
  mov ecx, 6
  breakpoint 0, data, WRITE1
  rep movsb
  nop
  finished
  show ecx
  call new_line

  check "repe cmpsb"
  mov esi, source
  mov edi, source
  mov ecx, 4
  breakpoint 0, source + 1, ACCESS1
  repe cmpsb
  nop
  finished

  check "breakpoint on a rep instruction"
  mov esi, source
  mov edi, data
  mov ecx, 3
  breakpoint 0, .at6, EXECUTE
.at6:
  rep movsb
  nop
  finished

  check "data across two pages"
  breakpoint 0, page_end + 1, WRITE1
  mov dword [page_end - 1], 7
  nop
  finished

  check "a faulting instruction"
  breakpoint 0, data, ACCESS1
  mov dword [resume], .behind
  mov eax, [data]
  mov ecx, 0xfff8
  mov fs, cx
.behind:
  finished

  mov eax, cr4
  or eax, 8
  mov cr4, eax
  check "port"
  mov eax, 0x80
  mov dr0, eax
  set_dr7 0x402 | (PORT1 << 16)
  out 0x80, al
  nop
  out 0x81, al
  in al, 0x80
  nop
  finished
  check "ports of a word"
  mov eax, 0x80
  mov dr2, eax
  set_dr7 0x420 | (PORT2 << 24)
  out 0x81, al
  nop
  out 0x7f, al
  out 0x7f, ax
  nop
  finished
  try "dr4 with CR4.DE", {mov eax, dr4}
  mov eax, cr4
  and eax, ~8
  mov cr4, eax
  try "dr4 without CR4.DE", {mov eax, dr4}

  check "trap flag"
  pushfd
  or dword [esp], 0x100
  popfd
  nop
  inc ecx
  pushfd
  and dword [esp], ~0x100
  popfd
  nop
  done
  check "trap flag and breakpoint"
  breakpoint 0, data, WRITE1
  pushfd
  or dword [esp], 0x100
  popfd
  mov [data], al
  pushfd
  and dword [esp], ~0x100
  popfd
  finished
  check "trap flag, rep"
  mov edi, data
  mov ecx, 3
  pushfd
  or dword [esp], 0x100
  popfd
  rep stosb
  pushfd
  and dword [esp], ~0x100
  popfd
  done
  check "trap flag, mov ss"
  mov ebx, ss
  pushfd
  or dword [esp], 0x100
  popfd
  mov ss, ebx
  nop
  pushfd
  and dword [esp], ~0x100
  popfd
  done
  check "breakpoint behind mov ss"
  mov ebx, ss
  breakpoint 0, .at7, EXECUTE
  mov ss, ebx
.at7:
  nop
  nop
  finished
  check "int3"
  int3
  nop
  done
  check "int1"
  db 0xf1
  nop
  done
  check "int 1"
  int 1
  done
  check "trap flag, int3"
  pushfd
  or dword [esp], 0x100
  popfd
  int3
  pushfd
  and dword [esp], ~0x100
  popfd
  done
  check "into"
  mov al, 0x7f
  inc al
  into
  done
  check "into without overflow"
  xor eax, eax
  into
  done
  check "general detect"
  set_dr7 0x2400
  mov ebx, dr0
  mov ebx, dr7
  show ebx
  done
  check "RF by iretd"
  breakpoint 0, .at8, EXECUTE
  push dword 0x10002
  push dword KCODE
  push dword .at8
  iretd
.at8:
  nop
  finished
  check "RF ends with one instruction"
  breakpoint 0, .at10, EXECUTE
  push dword 0x10002
  push dword KCODE
  push dword .at9
  iretd
.at9:
  nop
.at10:
  nop
  finished
  check "pushfd hides RF"
  push dword 0x10002
  push dword KCODE
  push dword .at11
  iretd
.at11:
  pushfd
  pop eax
  and eax, 0x10000
  show eax
  done
  check "dr7 and dr6 as they read"
  mov eax, -1
  mov dr6, eax
  mov eax, dr6
  show eax
  mov eax, 0xffff00ff & ~0x2000
  mov dr7, eax
  mov eax, dr7
  show eax
  xor eax, eax
  mov dr7, eax
  done
  check_user "breakpoint at privilege level 3"
  int 0x2e
.at12:
  nop
  done_user
  ret

; Shows the exception, clears DR6, sets RF in the saved flags, without which a breakpoint on an instruction would come
; again, and goes on.
on_debug:
  lea ebp, [esp + 44]
  say " !"
  mov edx, [ebp + FRAME_EIP]
  sub edx, [origin]
  shl edx, 24
  mov ecx, 2
  call put_digits
  test dword [ebp + FRAME_EFLAGS], 0x10000
  jz .no_rf
  say "R"
.no_rf:
  cmp dword [ebp + FRAME_VECTOR], 1
  jne .end
  mov eax, dr6
  show16 eax
  or dword [ebp + FRAME_EFLAGS], 0x10000
  mov eax, 0xffff0ff0
  mov dr6, eax
.end:
  ret

  align 4096
far_place:
  nop
  ret
  align 4096
  dd 0
source: db 1, 2, 3, 4, 5, 6, 7, 8
  align 16
  times 64 dd 0
data: dd 0, 0
  align 4096
page_end:
  times 16 db 0
section .bss
image_end:
