; 32-bit and PAE paging: rights at both levels, with and without CR0.WP, SMEP, SMAP and EFER.NXE; pages of 4 KiB, 2 MiB and
; 4 MiB (PSE, PSE-36); reserved bits; accessed and dirty flags; the checks of page-directory pointers.
;
; A line of probes has ".." or a page fault's error code for a read, a write and a fetch, as the supervisor and as a user.
%include "protected.inc"

USER_ALIAS equ 0x40000000
TEST_AREA equ 0x80000000
PAGE equ TEST_AREA + AT(test_page)

%macro kernel_probe 1+
  %push probe
  mov dword [probe_resume], %$end
  mov [probe_esp], esp
  %1
  say " .."
%$end:
  %pop
%endmacro

%macro user_probe 1+
  %push probe
  mov dword [probe_resume], %$end
  mov [probe_esp], esp
  push dword UDATA
  push dword user_stack_top + USER_ALIAS
  push dword 2
  push dword UCODE
  push dword %$start + USER_ALIAS
  push dword UDATA
  pop ds
  iretd
%$start:
  %1
  int 0x30
%$end:
  %pop
%endmacro

; Lines of probes for kinds of rights at two levels; the last column is the page's entry.
%macro matrix 1
  say %1
  call new_line
  mov dword [upper], 1
%%upper:
  mov dword [leaf], 1
%%line:
  say %1
  call matrix_line
  add dword [leaf], 2
  cmp dword [leaf], 7
  jbe %%line
  add dword [upper], 2
  cmp dword [upper], 7
  jbe %%upper
%endmacro

; Name, entry of the directory. In PAE paging the high half is in [high].
%macro line 2
  say %1
  mov eax, %2
  call directory_line
%endmacro

%macro set_cr4 1
  mov eax, cr4
  or eax, %1
  mov cr4, eax
%endmacro
%macro clear_cr4 1
  mov eax, cr4
  and eax, ~(%1)
  mov cr4, eax
%endmacro
PSE equ 0x10
PAE equ 0x20
PGE equ 0x80
SMEP equ 1 << 20
SMAP equ 1 << 21

main:
  say `-- 32-bit paging\n`
  mov dword [entry_shift], 2
  ; The first 4 MiB, and for users at USER_ALIAS, in pages of 4 KiB.
  mov edi, low_table
  mov esi, user_table
  xor ecx, ecx
.page:
  mov eax, ecx
  shl eax, 12
  or eax, 3
  mov [edi + ecx * 4], eax
  or eax, 7
  mov [esi + ecx * 4], eax
  inc ecx
  cmp ecx, 1024
  jne .page
  mov dword [directory], low_table + 3
  mov dword [directory + (USER_ALIAS >> 22) * 4], user_table + 7
  mov dword [test_entry], directory + (TEST_AREA >> 22) * 4
  mov dword [page_entry], test_table + AT(test_page) / 4096 * 4
  mov eax, directory
  mov cr3, eax
  mov eax, cr0
  or eax, 0x80010000
  mov cr0, eax

  call all_matrices
  line "not present", 0
  line "4 MiB page without PSE: a table", test_table + 0x87
  set_cr4 PSE
  line "4 MiB page", 0x87
  line "4 MiB page, read-only", 0x85
  line "4 MiB page, supervisor", 0x83
  line "4 MiB page, not present", 0x86
  line "4 MiB page, bit 21", 0x200087
  line "4 MiB page, PAT", 0x1087
  line "4 MiB page, accessed and dirty", 0x87
  check "4 MiB page beyond 4 GiB"
  mov dword [directory + (TEST_AREA >> 22) * 4], 0x2087
  invlpg [PAGE]
  cmp dword [PAGE], 0x310fc3c3
  done
  line "4 MiB page, flags", 0x87
  mov esi, directory + (TEST_AREA >> 22) * 4
  call flags_of_large_page
  call write_protection

  ; PAE paging: back to no paging first, as the manual wants it.
  mov eax, cr0
  and eax, 0x7fffffff
  mov cr0, eax
  mov dword [entry_shift], 3
  clear_cr4 PSE
  set_cr4 PAE
  mov edi, low_table
  mov esi, user_table
  xor ecx, ecx
.pae_page:
  mov eax, ecx
  shl eax, 12
  or eax, 3
  mov [edi + ecx * 8], eax
  mov dword [edi + ecx * 8 + 4], 0
  or eax, 7
  mov [esi + ecx * 8], eax
  mov dword [esi + ecx * 8 + 4], 0
  inc ecx
  cmp ecx, 512
  jne .pae_page
  mov dword [pae_low_directory], low_table + 3
  mov dword [pae_user_directory], user_table + 7
  mov dword [pae_pointers], pae_low_directory + 1
  mov dword [pae_pointers + 8], pae_user_directory + 1
  mov dword [pae_pointers + 16], directory + 1
  mov dword [test_entry], directory
  mov dword [page_entry], test_table + AT(test_page) / 4096 * 8
  mov eax, pae_pointers
  mov cr3, eax
  mov eax, cr0
  or eax, 0x80000000
  mov cr0, eax
  say `-- PAE paging\n`
  call all_matrices
  line "not present", 0
  line "2 MiB page", 0x87
  line "2 MiB page, read-only", 0x85
  line "2 MiB page, supervisor", 0x83
  line "2 MiB page, bit 13", 0x2087
  line "2 MiB page, bit 20", 0x100087
  line "2 MiB page, PAT", 0x1087
  mov dword [high], 1 << 19
  line "2 MiB page, bit 51", 0x87
  line "not present, bit 51", 0x86
  mov dword [high], 1 << 20
  line "2 MiB page, bit 52", 0x87
  mov dword [high], 1 << 30
  line "2 MiB page, bit 62", 0x87
  line "table, bit 62", test_table + 7
  mov dword [high], 1 << 31
  line "2 MiB page, NX without NXE", 0x87
  call set_nxe
  line "2 MiB page, NX", 0x87
  line "table, NX", test_table + 7
  mov dword [high], 0
  matrix "nxe"
  mov dword [leaf_high], 1 << 31
  matrix "nx"
  mov dword [leaf_high], 0
  line "2 MiB page, flags", 0x87
  mov esi, directory
  call flags_of_large_page
  call write_protection
  mov eax, pae_bad_pointers
  mov dword [pae_bad_pointers], pae_low_directory + 1
  mov dword [pae_bad_pointers + 8], pae_user_directory + 1
  mov dword [pae_bad_pointers + 16], directory + 3
  try "pointer with RW", mov cr3, eax
  mov dword [pae_bad_pointers + 16], directory + 2
  mov eax, pae_bad_pointers
  try "pointer with RW, not present", mov cr3, eax
  mov dword [pae_bad_pointers + 16], directory + 0x81
  mov eax, pae_bad_pointers
  try "pointer with PS", mov cr3, eax
  mov dword [pae_bad_pointers + 16], directory + 0xe19
  mov eax, pae_bad_pointers
  try "pointer with PWT, PCD and free bits", mov cr3, eax
  mov dword [pae_bad_pointers + 16], directory + 1
  mov dword [pae_bad_pointers + 20], 1 << 31
  mov eax, pae_bad_pointers
  try "pointer with bit 63", mov cr3, eax
  mov dword [pae_bad_pointers + 20], 1 << 19
  mov eax, pae_bad_pointers
  try "pointer with bit 51", mov cr3, eax
  check "and cr3 is as it was"
  mov eax, cr3
  cmp eax, pae_bad_pointers
  sete al
  movzx eax, al
  show eax
  done
  check "pointers at 32 bytes"
  mov esi, pae_bad_pointers
  mov edi, pae_pointers_aside
  mov dword [pae_bad_pointers + 20], 0
  mov ecx, 8
  rep movsd
  mov eax, pae_pointers_aside
  mov cr3, eax
  mov al, [PAGE]
  done
  mov eax, cr0
  and eax, 0x7fffffff
  mov cr0, eax
  ret

; The matrices of small pages that every kind of paging has.
all_matrices:
  matrix "wp"
  mov eax, cr0
  and eax, ~0x10000
  mov cr0, eax
  matrix "no wp"
  mov eax, cr0
  or eax, 0x10000
  mov cr0, eax
  set_cr4 SMEP
  matrix "smep"
  set_cr4 SMAP
  matrix "smep, smap"
  clear_cr4 SMEP
  mov byte [with_ac], 1
  matrix "smap, ac"
  mov byte [with_ac], 0
  clear_cr4 SMAP
  ret

matrix_line:
  mov eax, [upper]
  show16 eax
  add eax, test_table
  mov edi, [test_entry]
  mov [edi], eax
  cmp dword [entry_shift], 3
  jne .upper_set
  mov dword [edi + 4], 0
.upper_set:
  mov eax, [leaf]
  show16 eax
  add eax, test_page
  mov edi, [page_entry]
  mov [edi], eax
  cmp dword [entry_shift], 3
  jne .set
  mov eax, [leaf_high]
  mov [edi + 4], eax
.set:
  call forget
  call probe_page
  mov edi, [page_entry]
  show16 dword [edi]
  jmp new_line

; EAX and [high] for the directory, a page with all rights below.
directory_line:
  mov edi, [test_entry]
  mov [edi], eax
  cmp dword [entry_shift], 3
  jne .low
  mov eax, [high]
  mov [edi + 4], eax
  mov edi, [page_entry]
  mov dword [edi + 4], 0
.low:
  mov edi, [page_entry]
  mov dword [edi], test_page + 7
  call forget
  call probe_page
  mov edi, [test_entry]
  show16 dword [edi]
  jmp new_line

forget:
  mov eax, cr3
  mov cr3, eax
  ret

set_nxe:
  mov ecx, 0xc0000080
  rdmsr
  or eax, 0x800
  wrmsr
  ret

; ESI: the entry of a large page.
flags_of_large_page:
  check "large page behind a read, behind a write"
  mov dword [esi], 0x87
  invlpg [PAGE]
  mov al, [PAGE + 32]
  show16 dword [esi]
  mov [PAGE + 32], al
  show16 dword [esi]
  done
  set_cr4 PGE
  check "global large page, invlpg"
  mov dword [esi], 0x187
  invlpg [PAGE]
  mov al, [PAGE]
  mov dword [esi], 0
  invlpg [PAGE + 0x1000]
  mov al, [PAGE]
  done
  clear_cr4 PGE
  mov dword [esi], test_table + 7
  mov edi, [page_entry]
  mov dword [edi], test_page + 7
  jmp forget

write_protection:
  mov edi, [page_entry]
  mov dword [edi], test_page + 5
  invlpg [PAGE]
  try "write to a read-only page", {mov [PAGE + 32], eax}
  try "write through a read-only page's end", {mov [PAGE + 4094], eax}
  try "lock inc", {lock inc dword [PAGE + 32]}
  mov edi, [page_entry]
  say "entry of the read-only page"
  show16 dword [edi]
  call new_line
  mov ecx, [entry_shift]
  mov eax, 1
  shl eax, cl
  mov dword [edi + eax], 0
  invlpg [PAGE + 4096]
  try "across the end, absent behind", {mov eax, [PAGE + 4094]}
  check "an instruction across the end"
  mov byte [test_page + 4095], 0xb8
  mov eax, PAGE + 4095
  mov [origin], eax
  jmp eax
  done
  ret

probe_page:
  mov dword [hooks + 14 * 4], on_probe_fault
  mov dword [hooks + 0x30 * 4], on_probe_end
  mov edi, PAGE
  test byte [with_ac], 1
  jz .no_ac
  stac
.no_ac:
  kernel_probe mov al, [edi + 32]
  kernel_probe mov [edi + 32], al
  kernel_probe call edi
  user_probe mov al, [edi + 32]
  user_probe mov [edi + 32], al
  lea esi, [edi + 16]
  user_probe jmp esi
  mov dword [hooks + 14 * 4], 0
  mov dword [hooks + 0x30 * 4], 0
  ret

on_probe_fault:
  say " "
  mov edx, [esp + 48]           ; the error code, above two segment registers and what PUSHAD pushed
  shl edx, 24
  mov ecx, 2
  call put_digits
  jmp probe_end

on_probe_end:
  say " .."
probe_end:
  mov esp, [probe_esp]
  mov edi, PAGE
  jmp [probe_resume]

  align 4
probe_resume: dd 0
probe_esp: dd 0
upper: dd 0
leaf: dd 0
high: dd 0
leaf_high: dd 0
with_ac: dd 0
entry_shift: dd 0
test_entry: dd 0
page_entry: dd 0
  align 4096
test_page:
  ret
  align 16
  int 0x30
  align 16
  dd 0, 0, 0, 0
  align 4096
section .bss
  alignb 4096
directory: resb 4096
low_table: resb 4096
user_table: resb 4096
test_table: resb 4096
pae_low_directory: resb 4096
pae_user_directory: resb 4096
pae_pointers: resb 32
pae_pointers_aside: resb 32
pae_bad_pointers: resb 32
image_end:
