// Operands that find mistakes: corners, numbers close to each other, short significands, and plain random bits.
#include <stdint.h>
#include <string.h>

static uint64_t random_state = 88172645463325252ull;

static uint64_t random_bits(void) {
  uint64_t z = (random_state += 0x9e3779b97f4a7c15ull);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}

static uint32_t below(uint32_t limit) { return (uint32_t)(((random_bits() >> 32) * limit) >> 32); }

/** A significand of 64 bits: random, short, or with long runs of equal bits. */
static uint64_t random_significand(void) {
  switch (below(6)) {
    case 0: return random_bits() << below(64);
    case 1: return ~(random_bits() >> below(64));
    case 2: return (~0ull << below(64)) ^ (1ull << below(64));
    case 3: return (1ull << below(64)) | (1ull << below(64)) | (random_bits() >> 60);
    default: return random_bits();
  }
}

/** A number of a format with `fraction` fraction bits and `exponents` exponent bits. */
static uint64_t random_binary(int fraction, int exponents) {
  uint64_t bias = (1ull << (exponents - 1)) - 1, top = (1ull << exponents) - 1, field;
  uint64_t significand = random_significand() >> (64 - fraction);
  switch (below(12)) {
    case 0: field = 0; break;
    case 1: field = 0; significand = below(3); break;
    case 2: field = top; break;
    case 3: field = top; significand = 0; break;
    case 4: field = 1 + below(fraction + 3); break;
    case 5: field = top - 1 - below(4); break;
    case 6: field = bias + below(70); break;
    case 7: case 8: field = bias - 3 + below(7); break;
    case 9: field = bias / 2 + below(60) - 30; break;
    case 10: field = bias + bias / 2 + below(6) - 3; break;
    default: field = random_bits() & top;
  }
  return (random_bits() & 1) << (fraction + exponents) | field << fraction | significand;
}

static uint64_t random_integer(int bits) {
  uint64_t value = random_significand() >> below(64);
  if (below(2)) value = -value;
  if (below(4) == 0) value = (1ull << (bits - 1)) + below(5) - 2;
  return bits == 64 ? value : value & ((1ull << bits) - 1);
}
