; 4-level paging: rights at every level and size of page, with and without CR0.WP, SMEP, SMAP and EFER.NXE; reserved bits;
; accessed and dirty flags; which address CR2 names; INVLPG, global pages; non-canonical addresses.
%include "long.inc"

PAGE equ TEST_AREA + AT(test_page)
LEAF equ test_table + ((AT(test_page) >> 12) & 511) * 8
NX equ 1 << 63

; Sets an entry of a page table.
%macro set_entry 2
  mov rax, %2
  mov [%1], rax
%endmacro

%macro map_small 2              ; flags of the directory's entry, flags of the page's
  set_entry pointers + 16, test_directory + 7
  set_entry test_directory, test_table + (%1)
  set_entry LEAF, (AT(test_page)) | (%2)
  call forget
%endmacro
%macro map_large 2              ; flags of the pointer's entry, flags of the page's
  set_entry pointers + 16, test_directory + (%1)
  set_entry test_directory, 0x80 | (%2)
  call forget
%endmacro
%macro map_huge 2               ; flags of the PML4's entry, flags of the page's
  set_entry tables + 8, pointers + (%1)
  set_entry pointers + 16, 0x80 | (%2)
  call forget
%endmacro

; Lines of probes for each of eight kinds of rights at two levels; the last column is the low half of the page's entry.
%macro matrix 1
  say %1
  call new_line
  mov r15, UPPER_RIGHTS
%%upper:
  mov r14, LEAF_RIGHTS
%%line:
  say %1
  call matrix_line
  inc r14
  cmp byte [r14], 0
  jne %%line
  inc r15
  cmp byte [r15], 0
  jne %%upper
%endmacro

%macro probe_line 1
  say %1
  mov rdi, [place]
  call probe_page
  call new_line
%endmacro

main:
  mov eax, PAGE
  mov [place], rax
  matrix "wp"
  mov rax, cr0
  btr rax, 16
  mov cr0, rax
  matrix "no wp"
  mov rax, cr0
  bts rax, 16
  mov cr0, rax
  call set_smep
  matrix "smep"
  call clear_smep
  call set_smap
  matrix "smap"
  mov byte [with_ac], 1
  matrix "smap, ac"
  mov rax, cr0
  btr rax, 16
  mov cr0, rax
  matrix "smap, ac, no wp"
  mov byte [with_ac], 0
  matrix "smap, no wp"
  mov rax, cr0
  bts rax, 16
  mov cr0, rax
  call set_smep
  matrix "smep, smap"
  call clear_smep
  call clear_smap
  call clear_nxe
  matrix "no nxe"
  call set_nxe

  map_large 7, 7
  probe_line "2 MiB page"
  map_large 7, 5
  probe_line "2 MiB page, read-only"
  map_large 7, 3
  probe_line "2 MiB page, supervisor"
  map_large 7, NX | 7
  probe_line "2 MiB page, NX"
  map_large 5, 7
  probe_line "2 MiB page, read-only pointer"
  map_large NX | 3, 7
  probe_line "2 MiB page, supervisor's NX pointer"
  map_large 7, 0
  probe_line "2 MiB page, not present"
  map_large 7, 7 | 0x2000
  probe_line "2 MiB page, bit 13"
  map_large 7, 7 | 0x100000
  probe_line "2 MiB page, bit 20"
  map_large 7, 7 | 0x1000
  probe_line "2 MiB page, PAT"
  map_large 7, 7 | 1 << 51
  probe_line "2 MiB page, bit 51"
  map_large 7, 7 | 0x7ff << 52
  probe_line "2 MiB page, bits 52 to 62"
  map_large 0, 7
  probe_line "pointer not present"
  map_large 7 | 1 << 51, 7
  probe_line "pointer, bit 51"
  map_large 7, 7
  mov rdi, TEST_AREA + 0x1ffffe
  try "2 MiB page, across its end", mov eax, [rdi]

  map_huge 7, 7
  mov rax, TEST_AREA + (1 << 39) + AT(test_page)
  mov [place], rax
  probe_line "1 GiB page"
  map_huge 7, 5
  probe_line "1 GiB page, read-only"
  map_huge 7, 3
  probe_line "1 GiB page, supervisor"
  map_huge 7, NX | 7
  probe_line "1 GiB page, NX"
  map_huge 5, 7
  probe_line "1 GiB page, read-only PML4 entry"
  map_huge NX | 7, 7
  probe_line "1 GiB page, NX in PML4 entry"
  map_huge 7, 7 | 0x2000
  probe_line "1 GiB page, bit 13"
  map_huge 7, 7 | 1 << 29
  probe_line "1 GiB page, bit 29"
  map_huge 7, 7 | 1 << 51
  probe_line "1 GiB page, bit 51"
  map_huge 0, 7
  probe_line "PML4 entry not present"
  map_huge 7 | 0x80, 7
  probe_line "PML4 entry, PS"
  map_huge 7 | 1 << 51, 7
  probe_line "PML4 entry, bit 51"
  mov qword [tables + 8], 0
  mov eax, PAGE
  mov [place], rax
  map_small 7, 7 | 1 << 51
  probe_line "page, bit 51"
  map_small 7 | 1 << 51, 7
  probe_line "directory entry, bit 51"
  map_small 7, 6 | 1 << 51
  probe_line "page, bit 51, not present"
  map_small 7, 7 | 0x7ff << 52
  probe_line "page, bits 52 to 62"
  map_small 7, 7 | 0x80
  probe_line "page, PAT"

  ; Accessed and dirty flags.
  mov r12d, PAGE
  mov r13d, TEST_AREA
  map_small 7, 7
  mov qword [tables], pointers + 7
  call forget
  check "flags before and after a read"
  show16 qword [tables]
  show16 qword [test_directory]
  show16 qword [LEAF]
  mov al, [r12 + 32]
  show16 qword [tables]
  show16 qword [test_directory]
  show16 qword [LEAF]
  done
  check "after a write"
  mov [r12 + 32], al
  show16 qword [test_directory]
  show16 qword [LEAF]
  done
  map_small 7, 7
  check "a write first"
  mov [r12 + 32], al
  show16 qword [LEAF]
  done
  map_small 7, 7
  check "dirty flag taken away behind a write"
  mov [r12 + 32], al
  and qword [LEAF], ~0x40
  invlpg [r12]
  mov [r12 + 32], al
  show16 qword [LEAF]
  done
  map_small 7, 5
  check "a write that faults"
  mov byte [r12 + 32], 1
  done
  say "its entry"
  show16 qword [LEAF]
  call new_line
  map_small 7, 7
  check "a fetch"
  mov eax, PAGE
  call rax
  show16 qword [LEAF]
  done
  map_large 7, 7
  check "2 MiB page, flags behind a read and a write"
  mov al, [r12 + 32]
  show16 qword [test_directory]
  mov [r12 + 32], al
  show16 qword [test_directory]
  done

  ; What counts as a write, and what CR2 says.
  map_small 7, 5
  try "add", {add dword [r12 + 32], 0}
  try "cmpxchg that fails", {cmpxchg [r12], ecx}
  try "lock cmpxchg8b", {lock cmpxchg8b [r12 + 32]}
  try "xchg", {xchg [r12 + 32], eax}
  try "bts", {bts dword [r12 + 32], 3}
  try "bt", {bt dword [r12 + 32], 3}
  try "cmp", {cmp [r12 + 32], eax}
  try "test", {test [r12 + 32], eax}
  try "setz", {setz [r12 + 32]}
  try "fstp", {fstp qword [r12 + 32]}
  try "movups", {movups [r12 + 32], xmm0}
  try "invlpg", {invlpg [r12]}
  check "push"
  mov ecx, PAGE + 64
  mov rbx, rsp
  mov rsp, rcx
  push rax
  mov rsp, rbx
  done
  check "rep movsb into it"
  mov esi, header
  mov edi, PAGE - 2
  mov ecx, 4
  set_entry LEAF - 8, AT(test_page) + 7
  invlpg [r12 - 1]
  rep movsb
  done
  say "rep movsb, rcx"
  show rcx
  call new_line
  map_small 7, 7
  mov qword [LEAF - 8], 0
  mov qword [LEAF + 8], 0
  invlpg [r12 - 1]
  invlpg [r12 + 4096]
  try "across the end, absent behind", mov eax, [r12 + 4094]
  try "write across the end, absent behind", mov [r12 + 4094], eax
  try "across the start, absent before", mov eax, [r12 - 2]
  try "quadword write across the start", mov [r12 - 7], rax
  try "16 bytes across the end", movups xmm0, [r12 + 4090]
  check "nothing of a write across the end"
  show16 qword [r12 + 4094 - 6]
  done
  mov byte [r12 + 4095], 0x90
  check "code across the end"
  mov eax, PAGE + 4095
  mov [origin], rax
  jmp rax
  done
  mov byte [r12 + 4095], 0xb8
  check "an instruction across the end"
  mov eax, PAGE + 4095
  mov [origin], rax
  jmp rax
  done
  mov byte [r12 + 4095], 0

  ; Translations that are to be forgotten.
  map_small 7, 7
  mov qword [LEAF + 8], AT(other_page) + 7
  mov dword [r12 + 40], 0x11111111
  mov dword [other_page + 40], 0x22222222
  check "invlpg, another frame"
  show qword [r12 + 40]
  mov qword [LEAF], AT(other_page) + 7
  invlpg [r12 + 1234]
  show qword [r12 + 40]
  done
  check "cr3, another frame"
  mov qword [LEAF], AT(test_page) + 7
  mov rax, cr3
  mov cr3, rax
  show qword [r12 + 40]
  done
  mov rax, cr4
  or eax, 0x80
  mov cr4, rax
  check "global page, invlpg"
  mov qword [LEAF], AT(test_page) + 0x107
  invlpg [r12]
  show qword [r12 + 40]
  mov qword [LEAF], AT(other_page) + 0x107
  invlpg [r12]
  show qword [r12 + 40]
  done
  check "global page, CR4.PGE off and on"
  mov qword [LEAF], AT(test_page) + 0x107
  mov rax, cr4
  btr eax, 7
  mov cr4, rax
  bts eax, 7
  mov cr4, rax
  show qword [r12 + 40]
  done
  check "2 MiB page, invlpg of another of its addresses"
  set_entry test_directory, 0x187
  invlpg [r12]
  mov eax, [r12 + 40]
  mov eax, [r12 + 0x10000]
  set_entry test_directory, test_table + 7
  invlpg [r13]
  show qword [r12 + 40]
  mov eax, [r12 + 0x10000]
  done
  check "from absent to present without invlpg"
  mov qword [LEAF], 0
  invlpg [r12]
  mov qword [resume], .behind
  mov al, [r12]
.behind:
  mov qword [LEAF], AT(test_page) + 7
  mov al, [r12]
  done
  check "code behind invlpg"
  mov byte [test_page + 64], 0xc3
  mov byte [other_page + 64], 0xcc
  mov qword [LEAF], AT(test_page) + 7
  invlpg [r12]
  mov eax, PAGE + 64
  call rax
  mov qword [LEAF], AT(other_page) + 7
  invlpg [r12]
  mov eax, PAGE + 64
  mov [origin], rax
  call rax
  done

  ; Addresses that are not canonical.
  mov rdi, 0x800000000000
  try "read", mov al, [rdi]
  try "write", mov [rdi], al
  try "read below", mov al, [rdi - 1]
  try "astride", mov ax, [rdi - 1]
  mov rdi, 0xffff7fffffffffff
  try "read above", mov al, [rdi]
  try "upper half", mov al, [rdi + 1]
  try "astride the upper edge", mov ax, [rdi]
  mov rdi, 0x8000000000000000
  try "xmm", movups xmm0, [rdi]
  try "lea", lea rax, [rdi]
  try "prefetch", prefetcht0 [rdi]
  try "invlpg, not canonical", invlpg [rdi]
  try "nop", nop dword [rdi]
  try "jmp", jmp rdi
  try "call", call rdi
  check "ret"
  push rdi
  ret
  done
  check "jmp far"
  mov [far_pointer], rdi
  mov word [far_pointer + 8], KCODE
  jmp far qword [far_pointer]
  done
  check "iretq"
  push qword KDATA
  push rsp
  push qword 2
  push qword KCODE
  push rdi
  iretq
  done
  check "push, not canonical"
  mov rsp, rdi
  push rax
  done
  check "through rbp"
  mov rbp, rdi
  mov al, [rbp + 8]
  done
  check "pop"
  mov rsp, rdi
  pop rax
  done
  check "pop into memory"
  push rax
  pop qword [rdi]
  done
  check "movsb"
  mov rsi, rdi
  movsb
  done
  mov ecx, 0xc0000100
  xor eax, eax
  mov edx, 0x8000
  try "wrmsr of FS base", wrmsr
  check "fs base and offset wrap"
  mov ecx, 0xc0000100
  mov edx, 0xffffffff
  mov eax, 0xfffffff0
  wrmsr
  mov eax, [fs:header + 16]
  show rax
  done
  try_user "read as a user", mov al, [rdi]
  check_user "push as a user"
  mov rsp, rdi
  push rax
  done_user
  ret

; Rights at R15 for the directory's entry, at R14 for the page's: the low bits, and NX in bit 7.
matrix_line:
  set_entry pointers + 16, test_directory + 7
  mov bl, [r15]
  call widen_rights
  lea rcx, [rax + test_table]
  mov [test_directory], rcx
  mov bl, [r14]
  call widen_rights
  lea rcx, [rax + AT(test_page)]
  mov [LEAF], rcx
  call forget
  mov edi, PAGE
  call probe_page
  show16 qword [LEAF]
  jmp new_line

; Shows the rights BL; RAX: as bits of an entry.
widen_rights:
  movzx eax, bl
  and eax, 0x7f
  show16 rax
  bt ebx, 7
  call put_nx
  shl rbx, 56
  shr rbx, 63
  shl rbx, 63
  or rax, rbx
  ret

UPPER_RIGHTS: db 1, 3, 5, 7, 0x81, 0x87, 0
LEAF_RIGHTS: db 1, 3, 5, 7, 0x81, 0x83, 0x85, 0x87, 0

put_nx:
  jnc .no
  say "x"
.no:
  ret

; Nothing of old translations is left.
forget:
  mov rax, cr3
  mov cr3, rax
  ret

set_smep:
  mov rax, cr4
  bts rax, 20
  mov cr4, rax
  ret
clear_smep:
  mov rax, cr4
  btr rax, 20
  mov cr4, rax
  ret
set_smap:
  mov rax, cr4
  bts rax, 21
  mov cr4, rax
  ret
clear_smap:
  mov rax, cr4
  btr rax, 21
  mov cr4, rax
  ret
set_nxe:
  mov ecx, 0xc0000080
  rdmsr
  or eax, 0x800
  wrmsr
  ret
clear_nxe:
  mov ecx, 0xc0000080
  rdmsr
  and eax, ~0x800
  wrmsr
  ret

%include "page-probes.inc"
other_page:
  times 4096 db 0
  align 8
scratch: dq 0
place: dq 0
far_pointer: dq 0, 0
section .bss
  alignb 4096
test_directory: resb 4096
test_table: resb 4096
image_end:
