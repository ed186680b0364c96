// Runs user-mode x86-64 code on the host's processor and reports what it did.
// Batches of cases on stdin, batches of results on stdout; the format and the
// memory picture are in ../protocol.ts, and the constants here repeat it.
//
// Entry is one IRETQ, which loads RIP, RFLAGS and RSP at once and serialises,
// so that code written through another mapping is seen. Exit is a direct jump
// behind the case's code into a stub that stores to absolute low addresses and
// therefore needs no register. Faults arrive as signals on another stack; the
// handler copies the state out and drops the frame, which saves a sigreturn.
//
// A stray system call cannot do harm: seccomp lets calls through from two
// addresses of this program only, and turns all others into SIGSYS.
#define _GNU_SOURCE
#include <cpuid.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>
#include <x86intrin.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

#define PROTOCOL_VERSION 3
#define HELLO_MAGIC 0x48465252u  // "RRFH"
#define BATCH_MAGIC 0x42465252u  // "RRFB"
#define RESULT_MAGIC 0x52465252u // "RRFR"

#define PAGE 4096u
#define CODE_BASE 0x20000000u
#define EXIT_STUB 0x5c3a6000u
#define CONTROL 0x5c3a7000u
#define MAX_BATCH_BYTES (64u << 20)
#define MAX_CHANGED_WORDS 64u
#define FX_BYTES 512u
#define IMAGE_BYTES 768u // FXSAVE's, then the upper halves of YMM0 to YMM15
#define FX_COMPARED_WORDS 52u // up to XMM15; what follows is reserved
#define CODE_FILL 0xcc
#define X87_ERROR_SUMMARY 0x80

#define STATUS_EXIT 0
#define STATUS_FAULT 1
#define STATUS_TIMEOUT 2
#define STATUS_SYSCALL 3

#define FLAG_NO_EXIT 1

// The mapped pages in the order in which a batch ships their contents; the
// code pages behind them always start out as INT3.
enum { RW = PROT_READ | PROT_WRITE, RO = PROT_READ, RX = PROT_READ | PROT_EXEC, RWX = RW | PROT_EXEC };
static const struct { u32 address; int protection; } PAGES[] = {
  {0x10001000, RW}, {0x10002000, RW}, {0x10003000, RO}, {0x10005000, RO}, {0x10006000, RW},
  {0x20000000, RX}, {0x20001000, RX}, {0x20003000, RWX},
};
#define PAGE_COUNT 8
#define DATA_PAGES 5

// ---- shared with the assembly below: offsets are checked by static asserts ----
struct control {
  u64 gpr_in[16];   // 0x000
  u64 iret[5];      // 0x080: RIP, CS, RFLAGS, RSP, SS
  u64 fs_in;        // 0x0a8
  u64 gs_in;        // 0x0b0
  u64 fx_in;        // 0x0b8: address of the FXSAVE image
  u64 harness_rsp;  // 0x0c0
  u64 harness_fs;   // 0x0c8
  u64 running;      // 0x0d0: 1 between entry and exit of a case
  u64 has_fsgsbase; // 0x0d8
  u64 has_avx;      // 0x0e0
  u64 unused[3];    // 0x0e8
  u64 gpr_out[16];  // 0x100
  u64 rflags_out;   // 0x180
  u64 fs_out;       // 0x188
  u64 gs_out;       // 0x190
  u64 rip_out;      // 0x198
  u64 cr2_out;      // 0x1a0
  u64 error_out;    // 0x1a8
  u64 vector_out;   // 0x1b0
  u64 status_out;   // 0x1b8
  u64 stack[8];     // 0x1c0: for PUSHFQ
  u8 fx_out[FX_BYTES]; // 0x200
  u8 ymm_out[IMAGE_BYTES - FX_BYTES]; // 0x400
};
_Static_assert(offsetof(struct control, harness_rsp) == 0xc0 && offsetof(struct control, has_fsgsbase) == 0xd8 &&
               offsetof(struct control, gpr_out) == 0x100 && offsetof(struct control, rflags_out) == 0x180 &&
               offsetof(struct control, fx_out) == 0x200 &&
               offsetof(struct control, has_avx) == 0xe0 && offsetof(struct control, ymm_out) == 0x400, "the assembly uses these offsets");
#define control ((volatile struct control *)(u64)CONTROL)

#define LOAD_YMM(n) "  vinsertf128 $1, 512+16*" #n "(%rdx), %ymm" #n ", %ymm" #n "\n"
#define STORE_YMM(n) "  vextractf128 $1, %ymm" #n ", C+0x400+16*" #n "\n"
#define EACH(do) do(0) do(1) do(2) do(3) do(4) do(5) do(6) do(7) do(8) do(9) do(10) do(11) do(12) do(13) do(14) do(15)

__asm__(
  ".text\n"
  ".set C, 0x5c3a7000\n"
  ".globl enter_case\n"
  "enter_case:\n"
  "  push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
  "  pushq $2; popfq\n" // IRETQ refuses with NT
  "  mov %rsp, C+0xc0\n"
  "  cmpb $0, C+0xd8; je 1f\n"
  "  mov C+0xa8, %rdx; wrfsbase %rdx\n"
  "  mov C+0xb0, %rdx; wrgsbase %rdx\n"
  "1: mov C+0xb8, %rdx; fxrstor64 (%rdx)\n"
  "  cmpb $0, C+0xe0; je 1f\n"
  EACH(LOAD_YMM)
  "1: movq $1, C+0xd0\n"
  "  mov C+0x00, %rax; mov C+0x08, %rcx; mov C+0x10, %rdx; mov C+0x18, %rbx\n"
  "  mov C+0x28, %rbp; mov C+0x30, %rsi; mov C+0x38, %rdi\n"
  "  mov C+0x40, %r8; mov C+0x48, %r9; mov C+0x50, %r10; mov C+0x58, %r11\n"
  "  mov C+0x60, %r12; mov C+0x68, %r13; mov C+0x70, %r14; mov C+0x78, %r15\n"
  "  mov $C+0x80, %esp\n"
  "  iretq\n"
  // Copied to EXIT_STUB, so nothing in it may be relative to RIP but short jumps.
  ".globl exit_stub, exit_stub_end, abandon_case\n"
  "exit_stub:\n"
  "  movq $0, C+0xd0\n"
  "  mov %rax, C+0x100; mov %rcx, C+0x108; mov %rdx, C+0x110; mov %rbx, C+0x118\n"
  "  mov %rsp, C+0x120; mov %rbp, C+0x128; mov %rsi, C+0x130; mov %rdi, C+0x138\n"
  "  mov %r8, C+0x140; mov %r9, C+0x148; mov %r10, C+0x150; mov %r11, C+0x158\n"
  "  mov %r12, C+0x160; mov %r13, C+0x168; mov %r14, C+0x170; mov %r15, C+0x178\n"
  "  mov $C+0x200, %esp\n"
  "  pushfq; popq C+0x180\n"
  "  pushq $2; popfq\n"
  "  fxsave64 C+0x200\n"
  "  cmpb $0, C+0xe0; je 1f\n"
  EACH(STORE_YMM)
  "  vzeroupper\n"
  "1:\n"
  "abandon_case:\n" // also entered here, by the signal handler, with all state stored
  "  cmpb $0, C+0xd8; je 1f\n"
  "  rdfsbase %rdx; mov %rdx, C+0x188\n"
  "  rdgsbase %rdx; mov %rdx, C+0x190\n"
  "  mov C+0xc8, %rdx; wrfsbase %rdx\n"
  "1: mov C+0xc0, %rsp\n"
  "  pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
  "  ret\n"
  "exit_stub_end:\n"
  // The only two places from which system calls are allowed.
  ".globl system_call, system_call_return, signal_return, signal_return_return, signal_entry\n"
  "system_call:\n"
  "  mov %rdi, %rax; mov %rsi, %rdi; mov %rdx, %rsi; mov %rcx, %rdx\n"
  "  syscall\n"
  "system_call_return:\n"
  "  ret\n"
  "signal_return:\n"
  "  mov $15, %eax\n"
  "  syscall\n"
  "signal_return_return:\n"
  "  ud2\n"
  // The case's AC and TF must not act on the handler; NT and ID stay, because returning from a signal does not restore them.
  "signal_entry:\n"
  "  pushfq; andl $~0x40100, (%rsp); popfq\n"
  "  jmp on_signal\n");

void enter_case(void);
void abandon_case(void) __attribute__((noreturn));
extern const u8 exit_stub[], exit_stub_end[];
extern const u8 system_call_return[], signal_return[], signal_return_return[], signal_entry[];
long system_call(long number, long a, long b, long c);

static void die(int code) { for (;;) system_call(SYS_exit_group, code, 0, 0); }

static void complain(const char *what) {
  system_call(SYS_write, 2, (long)what, strlen(what));
  die(97);
}

static volatile u64 case_number, case_at_last_tick;

__attribute__((used)) void on_signal(int number, siginfo_t *info, void *context) {
  ucontext_t *uc = context;
  greg_t *g = uc->uc_mcontext.gregs;
  (void)info;
  if (number == SIGVTALRM) {
    if (!control->running || case_at_last_tick != case_number) { case_at_last_tick = case_number; return; }
    control->status_out = STATUS_TIMEOUT;
  } else {
    if (!control->running) complain("runner: a fault outside of test code\n");
    control->status_out = number == SIGSYS ? STATUS_SYSCALL : STATUS_FAULT;
  }
  control->running = 0;
  static const u8 ORDER[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                               REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
  for (int i = 0; i < 16; i++) control->gpr_out[i] = g[ORDER[i]];
  control->rip_out = g[REG_RIP];
  control->rflags_out = g[REG_EFL];
  control->vector_out = g[REG_TRAPNO];
  control->error_out = g[REG_ERR];
  control->cr2_out = g[REG_TRAPNO] == 14 ? g[REG_CR2] : 0;
  // Behind the FXSAVE image come the header of XSAVE, of which bit 2 says that AVX state is not initial, and that state.
  const u8 *saved = (const u8 *)uc->uc_mcontext.fpregs;
  memcpy((void *)control->fx_out, saved, FX_BYTES);
  if (control->has_avx) {
    if (saved[FX_BYTES] & 4) memcpy((void *)control->ymm_out, saved + 576, IMAGE_BYTES - FX_BYTES);
    else memset((void *)control->ymm_out, 0, IMAGE_BYTES - FX_BYTES);
  }
  // A case that ends with TF set traps behind the jump to the stub: that is its normal end.
  if (control->status_out == STATUS_FAULT && g[REG_TRAPNO] == 1 && g[REG_RIP] == EXIT_STUB) control->status_out = STATUS_EXIT;
  abandon_case();
}

// ---- memory ----
static u8 *writable[PAGE_COUNT];  // each mapped page again, writable for this program
static u8 reference[PAGE_COUNT][PAGE] __attribute__((aligned(64))); // what the pages hold between cases

static void *map_fixed(u64 address, u64 bytes, int protection, int flags, int fd, u64 offset) {
  void *p = mmap((void *)address, bytes, protection, flags | MAP_FIXED_NOREPLACE, fd, offset);
  if (p != (void *)address) { perror("runner: mmap"); exit(96); }
  return p;
}

static void map_memory(void) {
  int fd = memfd_create("ringfence-oracle", 0);
  if (fd < 0 || ftruncate(fd, PAGE_COUNT * PAGE)) { perror("runner: memfd"); exit(96); }
  u8 *all = mmap(0, PAGE_COUNT * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
  for (int i = 0; i < PAGE_COUNT; i++) {
    map_fixed(PAGES[i].address, PAGE, PAGES[i].protection, MAP_SHARED | MAP_POPULATE, fd, (u64)i * PAGE);
    writable[i] = all + i * PAGE;
    if (i >= DATA_PAGES) { memset(writable[i], CODE_FILL, PAGE); memset(reference[i], CODE_FILL, PAGE); }
  }
  close(fd);
  map_fixed(CONTROL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  map_fixed(EXIT_STUB, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  memcpy((void *)(u64)EXIT_STUB, exit_stub, exit_stub_end - exit_stub);
  mprotect((void *)(u64)EXIT_STUB, PAGE, PROT_READ | PROT_EXEC);
}

static int page_of(u64 address) {
  for (int i = 0; i < PAGE_COUNT; i++) if (address - PAGES[i].address < PAGE) return i;
  return -1;
}

// Writes one byte that cases see, both to the page and to its reference.
static void poke(u32 address, u8 value) {
  int page = page_of(address);
  if (page < 0) complain("runner: a case places bytes outside of mapped pages\n");
  writable[page][address % PAGE] = value;
  reference[page][address % PAGE] = value;
}

static void poke_word(u32 address, u64 value) {
  int page = page_of(address);
  if (page < 0 || address % 8) complain("runner: a patch is unaligned or outside of mapped pages\n");
  memcpy(writable[page] + address % PAGE, &value, 8);
  memcpy(reference[page] + address % PAGE, &value, 8);
}

// ---- cases and results, as in protocol.ts ----
struct batch_header { u32 magic, bytes, cases, images; };
struct case_header {
  u16 bytes; u8 code_bytes, flags; u16 code_offset; u8 patches, image;
  u64 rflags, fs_base, gs_base, gpr[16];
};
struct patch { u64 address, value; };
struct result_header {
  u16 bytes; u8 status, vector; u32 error_code;
  u64 rip, rflags, cr2;
  u32 gpr_mask, changed_words; u64 fx_mask; u32 hash, ymm_mask;
};
struct result_batch_header { u32 magic, bytes, results, zero; u64 cycles; };
struct hello { u32 magic, version, features, mxcsr_mask; char vendor[12]; u32 signature; char brand[48]; };

static u8 *in, *out;
static u64 selectors[2];

static u32 hash_word(u32 hash, u32 word) { return (hash ^ word) * 0x01000193u; }

static u64 *append_changes(struct result_header *r, u64 *w) {
  u32 count = 0, hash = 0x811c9dc5u;
  for (int page = 0; page < PAGE_COUNT; page++) {
    if (!(PAGES[page].protection & PROT_WRITE)) continue;
    const __m128i *a = (const __m128i *)writable[page], *b = (const __m128i *)reference[page];
    for (u32 line = 0; line < PAGE / 64; line++, a += 4, b += 4) {
      __m128i d = _mm_or_si128(_mm_or_si128(_mm_xor_si128(a[0], b[0]), _mm_xor_si128(a[1], b[1])),
                               _mm_or_si128(_mm_xor_si128(a[2], b[2]), _mm_xor_si128(a[3], b[3])));
      if (_mm_movemask_epi8(_mm_cmpeq_epi8(d, _mm_setzero_si128())) == 0xffff) continue;
      for (u32 offset = line * 64; offset < line * 64 + 64; offset += 8) {
        u64 *now = (u64 *)(writable[page] + offset), was = *(u64 *)(reference[page] + offset);
        if (*now == was) continue;
        u32 address = PAGES[page].address + offset;
        hash = hash_word(hash_word(hash_word(hash, address), (u32)*now), (u32)(*now >> 32));
        if (count++ < MAX_CHANGED_WORDS) { *w++ = address; *w++ = *now; }
        *now = was;
      }
    }
  }
  r->changed_words = count;
  r->hash = count ? hash : 0;
  return w;
}

static u8 *run_case(const u8 *at, const u8 *images, u8 *to) {
  const struct case_header *c = (const struct case_header *)at;
  const struct patch *patches = (const struct patch *)(c + 1);
  const u8 *code = (const u8 *)(patches + c->patches);
  u64 saved[256];
  for (int i = 0; i < c->patches; i++) {
    u32 address = patches[i].address;
    int page = page_of(address);
    if (page < 0 || page >= DATA_PAGES) complain("runner: a patch lies outside of the data pages\n");
    saved[i] = *(u64 *)(reference[page] + address % PAGE);
    poke_word(address, patches[i].value);
  }
  u32 start = CODE_BASE + c->code_offset, end = start + c->code_bytes;
  for (u32 i = 0; i < c->code_bytes; i++) poke(start + i, code[i]);
  u32 used = end;
  if (!(c->flags & FLAG_NO_EXIT)) {
    u32 distance = EXIT_STUB - (end + 5);
    poke(used++, 0xe9);
    for (int i = 0; i < 4; i++) poke(used++, distance >> (8 * i));
  }

  for (int i = 0; i < 16; i++) control->gpr_in[i] = c->gpr[i];
  control->iret[0] = start;
  control->iret[1] = selectors[0];
  control->iret[2] = c->rflags;
  control->iret[3] = c->gpr[4];
  control->iret[4] = selectors[1];
  control->fs_in = c->fs_base;
  control->gs_in = c->gs_base;
  const u8 *image = images + c->image * IMAGE_BYTES;
  control->fx_in = (u64)image;
  control->rip_out = end;
  control->status_out = STATUS_EXIT;
  control->vector_out = control->error_out = control->cr2_out = 0;
  case_number++;
  enter_case();

  struct result_header *r = (struct result_header *)to;
  u64 *w = (u64 *)(r + 1);
  int normal = control->status_out == STATUS_EXIT;
  r->status = control->status_out;
  r->vector = normal ? 0 : control->vector_out;
  r->error_code = normal ? 0 : control->error_out;
  r->rip = normal ? end : control->rip_out;
  r->cr2 = control->cr2_out;
  r->rflags = control->rflags_out;
  u32 gprs = 0;
  for (int i = 0; i < 16; i++) {
    u64 now = control->gpr_out[i];
    if (now != c->gpr[i]) { gprs |= 1u << i; *w++ = now; }
  }
  if (control->has_fsgsbase) {
    if (control->fs_out != c->fs_base) { gprs |= 1u << 16; *w++ = control->fs_out; }
    if (control->gs_out != c->gs_base) { gprs |= 1u << 17; *w++ = control->gs_out; }
  }
  r->gpr_mask = gprs;
  u64 fx_mask = 0;
  const u64 *before = (const u64 *)image, *after = (const u64 *)(u64)control->fx_out;
  ((u32 *)(u64)after)[7] = ((const u32 *)image)[7]; // MXCSR_MASK tells of the processor, not of the case
  // Without a pending exception AMD's FXSAVE stores 0 for FOP, FIP and FDP.
  if (!(((const u16 *)after)[1] & X87_ERROR_SUMMARY)) {
    ((u16 *)(u64)after)[3] = ((const u16 *)before)[3];
    memcpy((u8 *)(u64)after + 8, (const u8 *)before + 8, 16);
  }
  for (u32 i = 0; i < FX_COMPARED_WORDS; i++)
    if (before[i] != after[i]) { fx_mask |= 1ull << i; *w++ = after[i]; }
  r->fx_mask = fx_mask;
  u32 ymm_mask = 0;
  const u64 *ymm_before = (const u64 *)(image + FX_BYTES), *ymm_after = (const u64 *)(u64)control->ymm_out;
  for (u32 i = 0; control->has_avx && i < 32; i++)
    if (ymm_before[i] != ymm_after[i]) { ymm_mask |= 1u << i; *w++ = ymm_after[i]; }
  r->ymm_mask = ymm_mask;
  if (r->status == STATUS_TIMEOUT) { // where it was stopped is chance
    w = (u64 *)(r + 1);
    r->gpr_mask = 0; r->fx_mask = 0; r->ymm_mask = 0; r->rip = 0; r->rflags = 0; r->vector = 0; r->error_code = 0; r->cr2 = 0;
    append_changes(r, w);
    r->changed_words = 0; r->hash = 0;
  } else w = append_changes(r, w);
  r->bytes = (u8 *)w - to;

  for (u32 a = start; a < used; a++) poke(a, CODE_FILL);
  for (int i = c->patches - 1; i >= 0; i--) poke_word(patches[i].address, saved[i]);
  return (u8 *)w;
}

static int read_fully(u8 *to, u64 bytes) {
  for (u64 done = 0; done < bytes;) {
    long n = system_call(SYS_read, 0, (long)(to + done), bytes - done);
    if (n == -EINTR) continue;
    if (n <= 0) { if (done == 0) return 0; complain("runner: input ends inside of a batch\n"); }
    done += n;
  }
  return 1;
}

static void write_fully(const u8 *from, u64 bytes) {
  while (bytes) {
    long n = system_call(SYS_write, 1, (long)from, bytes);
    if (n == -EINTR) continue;
    if (n <= 0) die(95);
    from += n;
    bytes -= n;
  }
}

static void run_batch(const struct batch_header *header) {
  if (header->magic != BATCH_MAGIC || header->bytes > MAX_BATCH_BYTES) complain("runner: not a batch\n");
  if (!read_fully(in, header->bytes)) complain("runner: input ends inside of a batch\n");
  for (int i = 0; i < DATA_PAGES; i++) {
    memcpy(writable[i], in + i * PAGE, PAGE);
    memcpy(reference[i], in + i * PAGE, PAGE);
  }
  const u8 *images = in + DATA_PAGES * PAGE;
  const u8 *at = images + header->images * IMAGE_BYTES;
  u64 started = __rdtsc();
  struct result_batch_header *result = (struct result_batch_header *)out;
  u8 *to = (u8 *)(result + 1);
  for (u32 i = 0; i < header->cases; i++) {
    to = run_case(at, images, to);
    at += ((const struct case_header *)at)->bytes;
  }
  result->magic = RESULT_MAGIC;
  result->bytes = to - (u8 *)(result + 1);
  result->results = header->cases;
  result->zero = 0;
  result->cycles = __rdtsc() - started;
  write_fully(out, to - out);
}

// ---- set-up ----
struct kernel_sigaction { const void *handler; u64 flags; const void *restorer; u64 mask; };

static void catch_signals(void) {
  static u8 stack[256 * 1024];
  stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
  sigaltstack(&alternate, 0);
  static const int SIGNALS[] = {SIGSEGV, SIGILL, SIGFPE, SIGTRAP, SIGBUS, SIGSYS, SIGVTALRM};
  for (u32 i = 0; i < sizeof SIGNALS / sizeof *SIGNALS; i++) {
    struct kernel_sigaction action = {signal_entry, SA_SIGINFO | SA_ONSTACK | SA_NODEFER | SA_RESTART | 0x04000000, signal_return, 0};
    if (syscall(SYS_rt_sigaction, SIGNALS[i], &action, 0, 8)) { perror("runner: sigaction"); exit(96); }
  }
  struct itimerval tick = {{0, 10000}, {0, 10000}};
  setitimer(ITIMER_VIRTUAL, &tick, 0);
}

#define WHEN_FROM(ip, skip) \
  BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, instruction_pointer)), \
  BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (u32)(u64)(ip), 0, skip), \
  BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, instruction_pointer) + 4), \
  BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (u32)((u64)(ip) >> 32), 0, (skip) - 2), \
  BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))

static void enter_sandbox(void) {
  struct sock_filter filter[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
    WHEN_FROM(system_call_return, 8),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_read, 3, 0),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_write, 2, 0),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 1, 0),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    WHEN_FROM(signal_return_return, 6),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_rt_sigreturn, 1, 0),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
  };
  struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) {
    perror("runner: seccomp");
    exit(96);
  }
}

static void say_hello(void) {
  struct hello h = {HELLO_MAGIC, PROTOCOL_VERSION, (control->has_fsgsbase ? 1 : 0) | (control->has_avx ? 2 : 0), 0, {0}, 0, {0}};
  __attribute__((aligned(16))) u8 fx[FX_BYTES];
  __asm__ volatile("fxsave64 %0" : "=m"(fx));
  memcpy(&h.mxcsr_mask, fx + 28, 4);
  u32 a, b, c, d;
  __cpuid(0, a, b, c, d);
  memcpy(h.vendor, &b, 4); memcpy(h.vendor + 4, &d, 4); memcpy(h.vendor + 8, &c, 4);
  __cpuid(1, a, b, c, d);
  h.signature = a;
  for (u32 i = 0; i < 3; i++) {
    u32 leaf[4];
    __cpuid(0x80000002 + i, leaf[0], leaf[1], leaf[2], leaf[3]);
    memcpy(h.brand + 16 * i, leaf, 16);
  }
  write_fully((u8 *)&h, sizeof h);
}

int main(void) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  struct rlimit none = {0, 0};
  setrlimit(RLIMIT_CORE, &none);
  map_memory();
  in = mmap(0, MAX_BATCH_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  // A result is at most 7 + 18 + 52 + 32 + 128 words, a case at least 20.
  out = mmap(0, 12ull * MAX_BATCH_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (in == MAP_FAILED || out == MAP_FAILED) { perror("runner: buffers"); return 96; }
  control->has_fsgsbase = getauxval(AT_HWCAP2) >> 1 & 1;
  if (control->has_fsgsbase) control->harness_fs = __builtin_ia32_rdfsbase64();
  control->has_avx = __builtin_cpu_supports("avx2") != 0;
  __asm__ volatile("mov %%cs, %0; mov %%ss, %1" : "=r"(selectors[0]), "=r"(selectors[1]));
  catch_signals();
  say_hello();
  enter_sandbox();
  struct batch_header header;
  while (read_fully((u8 *)&header, sizeof header)) run_batch(&header);
  die(0);
}
