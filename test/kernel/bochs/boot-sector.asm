; Starts a multiboot image that lies behind this sector on a floppy disk, for emulators without a multiboot loader.
; The image has address fields, and its header at its start. IMAGE_SECTORS is defined on nasm's command line.
bits 16
org 0x7c00
BUFFER equ 0x10000
IMAGE equ 0x100000
SECTORS_A_TRACK equ 18

  cli
  xor ax, ax
  mov ds, ax
  mov ss, ax
  mov sp, 0x7c00
  cld
  mov bp, 1                     ; sector on the disk
  mov si, BUFFER >> 4           ; segment
.read:
  mov ax, bp
  mov cl, SECTORS_A_TRACK
  div cl                        ; AH sector of the track, AL track of both heads
  mov cl, ah
  inc cl
  mov dh, al
  and dh, 1
  mov ch, al
  shr ch, 1
  mov dl, 0
  mov es, si
  xor bx, bx
  mov ax, 0x0201
  int 0x13
  jc .read
  add si, 512 >> 4
  inc bp
  cmp bp, IMAGE_SECTORS
  jbe .read

  cli
  in al, 0x92                   ; A20
  or al, 2
  out 0x92, al
  lgdt [gdt_pointer]
  mov eax, cr0
  or al, 1
  mov cr0, eax
  jmp 8:protected

bits 32
protected:
  mov eax, 16
  mov ds, eax
  mov es, eax
  mov ss, eax
  mov fs, eax
  mov gs, eax
  mov esi, BUFFER
  mov edi, IMAGE
  mov ecx, IMAGE_SECTORS * 512 / 4
  rep movsd
  mov ecx, [IMAGE + 24]         ; end of what has no bytes in the image
  sub ecx, edi
  xor eax, eax
  rep stosb
  mov eax, 0x2badb002
  jmp [IMAGE + 28]

  align 8
gdt:
  dq 0, 0x00cf9b000000ffff, 0x00cf93000000ffff
gdt_pointer:
  dw 23
  dd gdt
  times 510 - ($ - $$) db 0
  dw 0xaa55
