// Executes one x87 instruction on many states of the unit and writes what the processor did.
// Usage: x87 <operation> <seed> <count>; records on the standard output.
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <ucontext.h>
#include "operands.h"

struct record {
  uint8_t in[108], memory_in[16];
  uint32_t flags_in;
  uint8_t out[108], memory_out[16];
  uint32_t flags_out, faulted, unused;
} __attribute__((packed));

static sigjmp_buf escape;

static void on_fault(int number, siginfo_t *info, void *context) {
  (void)number, (void)info, (void)context;
  siglongjmp(escape, 1);
}

// The operand in memory is at (%1); RAX is free.
#define EXECUTE(insn) \
  do { \
    uint64_t flags_in = r->flags_in, flags_out; \
    __asm__ volatile("frstor %2\n pushq %3\n popfq\n" insn "\n pushfq\n popq %0\n fnsave %4\n fninit\n" \
                     : "=&r"(flags_out) : "r"(r->memory_out), "m"(r->in), "r"(flags_in), "m"(r->out) : "rax", "memory", "cc"); \
    r->flags_out = flags_out & 0x8d5; \
  } while (0)

enum { NONE, SINGLE, DOUBLE, EXTENDED, INTEGER16, INTEGER32, INTEGER64, BCD, WORD };
#define BOTH(X, name, insn) \
  X(name##_32, SINGLE, EXECUTE(insn "s (%1)")) X(name##_64, DOUBLE, EXECUTE(insn "l (%1)"))
#define INTEGER(X, name, insn) \
  X(name##_i16, INTEGER16, EXECUTE(insn "s (%1)")) X(name##_i32, INTEGER32, EXECUTE(insn "l (%1)"))
#define LIST \
  X(load32, SINGLE, EXECUTE("flds (%1)")) X(load64, DOUBLE, EXECUTE("fldl (%1)")) X(load80, EXTENDED, EXECUTE("fldt (%1)")) \
  X(load_i16, INTEGER16, EXECUTE("filds (%1)")) X(load_i32, INTEGER32, EXECUTE("fildl (%1)")) X(load_i64, INTEGER64, EXECUTE("fildq (%1)")) \
  X(load_bcd, BCD, EXECUTE("fbld (%1)")) X(load_st0, NONE, EXECUTE("fld %%st(0)")) X(load_st3, NONE, EXECUTE("fld %%st(3)")) \
  X(constant0, NONE, EXECUTE("fld1")) X(constant1, NONE, EXECUTE("fldl2t")) X(constant2, NONE, EXECUTE("fldl2e")) X(constant3, NONE, EXECUTE("fldpi")) \
  X(constant4, NONE, EXECUTE("fldlg2")) X(constant5, NONE, EXECUTE("fldln2")) X(constant6, NONE, EXECUTE("fldz")) \
  X(store32, NONE, EXECUTE("fsts (%1)")) X(store64, NONE, EXECUTE("fstl (%1)")) X(store32_pop, NONE, EXECUTE("fstps (%1)")) X(store64_pop, NONE, EXECUTE("fstpl (%1)")) \
  X(store80_pop, NONE, EXECUTE("fstpt (%1)")) X(store_i16, NONE, EXECUTE("fists (%1)")) X(store_i32, NONE, EXECUTE("fistl (%1)")) \
  X(store_i16_pop, NONE, EXECUTE("fistps (%1)")) X(store_i32_pop, NONE, EXECUTE("fistpl (%1)")) X(store_i64_pop, NONE, EXECUTE("fistpq (%1)")) \
  X(store_t16_pop, NONE, EXECUTE("fisttps (%1)")) X(store_t32_pop, NONE, EXECUTE("fisttpl (%1)")) X(store_t64_pop, NONE, EXECUTE("fisttpq (%1)")) \
  X(store_bcd_pop, NONE, EXECUTE("fbstp (%1)")) \
  X(store_st2, NONE, EXECUTE("fst %%st(2)")) X(store_st2_pop, NONE, EXECUTE("fstp %%st(2)")) X(store_st0_pop, NONE, EXECUTE("fstp %%st(0)")) \
  X(add_0_1, NONE, EXECUTE(".byte 0xd8, 0xc1")) X(mul_0_1, NONE, EXECUTE(".byte 0xd8, 0xc9")) X(com_0_1, NONE, EXECUTE(".byte 0xd8, 0xd1")) X(comp_0_1, NONE, EXECUTE(".byte 0xd8, 0xd9")) \
  X(sub_0_1, NONE, EXECUTE(".byte 0xd8, 0xe1")) X(subr_0_1, NONE, EXECUTE(".byte 0xd8, 0xe9")) X(div_0_1, NONE, EXECUTE(".byte 0xd8, 0xf1")) X(divr_0_1, NONE, EXECUTE(".byte 0xd8, 0xf9")) \
  X(add_2_0_pop, NONE, EXECUTE(".byte 0xde, 0xc2")) X(mul_2_0_pop, NONE, EXECUTE(".byte 0xde, 0xca")) X(subr_2_0_pop, NONE, EXECUTE(".byte 0xde, 0xe2")) \
  X(sub_2_0_pop, NONE, EXECUTE(".byte 0xde, 0xea")) X(divr_2_0_pop, NONE, EXECUTE(".byte 0xde, 0xf2")) X(div_2_0_pop, NONE, EXECUTE(".byte 0xde, 0xfa")) \
  X(add_1_0, NONE, EXECUTE(".byte 0xdc, 0xc1")) X(div_1_0, NONE, EXECUTE(".byte 0xdc, 0xf9")) X(add_0_0, NONE, EXECUTE(".byte 0xd8, 0xc0")) \
  BOTH(X, add, "fadd") BOTH(X, mul, "fmul") BOTH(X, com, "fcom") BOTH(X, comp, "fcomp") BOTH(X, sub, "fsub") BOTH(X, subr, "fsubr") BOTH(X, div, "fdiv") BOTH(X, divr, "fdivr") \
  INTEGER(X, add, "fiadd") INTEGER(X, mul, "fimul") INTEGER(X, com, "ficom") INTEGER(X, comp, "ficomp") INTEGER(X, sub, "fisub") INTEGER(X, subr, "fisubr") INTEGER(X, div, "fidiv") INTEGER(X, divr, "fidivr") \
  X(compp, NONE, EXECUTE("fcompp")) X(ucompp, NONE, EXECUTE("fucompp")) X(ucom_1, NONE, EXECUTE("fucom %%st(1)")) X(ucomp_3, NONE, EXECUTE("fucomp %%st(3)")) \
  X(comi_1, NONE, EXECUTE("fcomi %%st(1), %%st")) X(comi_2_pop, NONE, EXECUTE("fcomip %%st(2), %%st")) X(ucomi_1, NONE, EXECUTE("fucomi %%st(1), %%st")) X(ucomi_2_pop, NONE, EXECUTE("fucomip %%st(2), %%st")) \
  X(test, NONE, EXECUTE("ftst")) X(examine, NONE, EXECUTE("fxam")) X(chs, NONE, EXECUTE("fchs")) X(abs, NONE, EXECUTE("fabs")) X(sqrt, NONE, EXECUTE("fsqrt")) X(rndint, NONE, EXECUTE("frndint")) \
  X(exchange_1, NONE, EXECUTE("fxch %%st(1)")) X(move_st2, NONE, EXECUTE(".byte 0xd9, 0xda")) X(move_st0, NONE, EXECUTE(".byte 0xd9, 0xd8")) X(free_2, NONE, EXECUTE("ffree %%st(2)")) X(free_1_pop, NONE, EXECUTE(".byte 0xdf, 0xc1")) X(inc_top, NONE, EXECUTE("fincstp")) X(dec_top, NONE, EXECUTE("fdecstp")) \
  X(move_c, NONE, EXECUTE("fcmovb %%st(1), %%st")) X(scale, NONE, EXECUTE("fscale")) X(extract, NONE, EXECUTE("fxtract")) X(prem, NONE, EXECUTE("fprem")) X(prem1, NONE, EXECUTE("fprem1")) \
  X(initialise, NONE, EXECUTE("fninit")) X(clear, NONE, EXECUTE("fnclex")) X(store_control, NONE, EXECUTE("fnstcw (%1)")) X(store_status, NONE, EXECUTE("fnstsw (%1)")) X(load_control, WORD, EXECUTE("fldcw (%1)")) \
  X(nop, NONE, EXECUTE("fnop")) X(finish_environment, NONE, EXECUTE("leaq -256(%%rsp), %%rsp\n fnstenv (%%rsp)\n leaq 256(%%rsp), %%rsp")) \
  X(mmx_enter, NONE, EXECUTE("movd %%mm1, %%eax")) X(mmx_write, NONE, EXECUTE("paddb %%mm3, %%mm2")) X(mmx_empty, NONE, EXECUTE("emms")) \
  X(f2xm1, NONE, EXECUTE("f2xm1")) X(fyl2x, NONE, EXECUTE("fyl2x")) X(fyl2xp1, NONE, EXECUTE("fyl2xp1")) X(fptan, NONE, EXECUTE("fptan")) X(fpatan, NONE, EXECUTE("fpatan")) \
  X(fsin, NONE, EXECUTE("fsin")) X(fcos, NONE, EXECUTE("fcos")) X(fsincos, NONE, EXECUTE("fsincos"))

#define X(name, kind, code) static void do_##name(struct record *r) { code; }
LIST
#undef X

static const struct { const char *name; int kind; void (*execute)(struct record *); } operations[] = {
#define X(name, kind, code) {#name, kind, do_##name},
  LIST
};

static void put(uint8_t *to, const void *from, int bytes) { memcpy(to, from, bytes); }

static void random_extended(uint8_t *to, int tame) {
  uint64_t significand = random_significand() | 1ull << 63;
  uint32_t field;
  uint32_t kind = tame ? 8 + below(6) : below(16);
  switch (kind) {
    case 0: field = 0; significand &= below(2) ? ~0ull : ~0ull >> 1; break;
    case 1: field = 0; significand = below(2) * (random_bits() >> below(64)); break;
    case 2: field = 0x7fff; break;
    case 3: field = 0x7fff; significand = 1ull << 63; break;
    case 4: field = 1 + below(70); break;
    case 5: field = 0x7ffe - below(4); break;
    case 6: field = random_bits() & 0x7fff; significand &= ~0ull >> below(2); break;
    case 7: field = below(2) ? 16383 - 1023 - below(60) + 3 : 16383 - 126 - below(28) + 3; break;
    case 8: field = below(2) ? 16383 + 1023 - below(3) + 1 : 16383 + 127 - below(3) + 1; break;
    case 9: field = 16383 + below(70); break;
    case 10: case 11: field = 16383 - 4 + below(8); break;
    case 12: field = 16383 - 70 + below(140); break;
    case 13: field = 16383 + below(66); significand &= ~0ull << below(64); significand |= 1ull << 63; break;
    default: field = random_bits() & 0x7fff;
  }
  field |= below(2) << 15;
  put(to, &significand, 8);
  put(to + 8, &field, 2);
}

static void random_state_image(struct record *r) {
  uint32_t control = 0x037f, status, tags = 0, ones = 0xffff;
  if (below(2)) control = 0x0040 | below(4) << 10 | below(4) << 8 | (below(3) ? 0x3f : random_bits() & 0x3f);
  // Nothing is pending, but for a few.
  uint32_t sticky = random_bits() & 0x7f & (below(32) ? control | 0x40 : 0x7f);
  if (below(3) == 0) sticky = 0;
  status = (random_bits() & 0x4700) | below(8) << 11 | sticky;
  int top = status >> 11 & 7;
  uint32_t empty = 0;
  switch (below(5)) {
    case 0: empty = random_bits() & 0xff; break;
    case 1: break;
    case 2: empty = 0xf8; break;
    default: empty = 0xc0; break;
  }
  // `empty` counts from ST(0).
  for (int i = 0; i < 8; i++) if (empty >> i & 1) tags |= 3u << 2 * ((top + i) & 7);
  memset(r->in, 0, sizeof r->in);
  put(r->in, &control, 4), put(r->in + 4, &status, 4), put(r->in + 8, &tags, 4);
  int tame = below(3) == 0;
  for (int i = 0; i < 8; i++) random_extended(r->in + 28 + 10 * i, tame);
  // Operands that are equal, nearly equal, or differ in sign only.
  if (below(8) == 0) {
    memcpy(r->in + 38, r->in + 28, 10);
    if (below(2)) r->in[38] ^= 1 << below(8);
    if (below(2)) r->in[47] ^= 0x80;
  }
  (void)ones;
}

static void random_memory(struct record *r, int kind) {
  memset(r->memory_in, 0, 16);
  uint64_t value = 0;
  switch (kind) {
    case SINGLE: value = random_binary(23, 8); break;
    case DOUBLE: value = random_binary(52, 11); break;
    case INTEGER16: value = random_integer(16); break;
    case INTEGER32: value = random_integer(32); break;
    case INTEGER64: value = random_integer(64); break;
    case WORD: value = random_bits() & 0xffff; break;
    case EXTENDED: random_extended(r->memory_in, 0); return;
    case BCD:
      for (int i = 0; i < 9; i++) r->memory_in[i] = below(10) << 4 | below(10);
      if (below(4) == 0) memset(r->memory_in + below(9), 0, 5);
      r->memory_in[9] = random_bits();
      return;
    default: return;
  }
  put(r->memory_in, &value, 8);
}

int main(int argc, char **argv) {
  if (argc < 4) return 2;
  struct sigaction action = {0};
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  sigaction(SIGFPE, &action, NULL);
  random_state = strtoull(argv[2], NULL, 0);
  long count = atol(argv[3]);
  for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
    if (strcmp(argv[1], operations[i].name)) continue;
    for (long n = 0; n < count; n++) {
      static struct record r;
      memset(&r, 0, sizeof r);
      random_state_image(&r);
      random_memory(&r, operations[i].kind);
      memcpy(r.memory_out, r.memory_in, 16);
      if (operations[i].kind == NONE) memset(r.memory_out, 0xcc, 16), memset(r.memory_in, 0xcc, 16);
      r.flags_in = (random_bits() & 0x8d5) | 0x202;
      if (sigsetjmp(escape, 0) == 0) {
        operations[i].execute(&r);
      } else {
        __asm__ volatile("fninit");
        r.faulted = 1;
      }
      r.flags_in &= 0x8d5;
      fwrite(&r, sizeof r, 1, stdout);
    }
    return 0;
  }
  return 3;
}
