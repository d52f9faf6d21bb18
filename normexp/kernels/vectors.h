// Channels in vectors: so many at a time, of either type of numbers.

#pragma once

#include <cstdint>
#include <cstring>

constexpr long LANES = 16;
typedef float Floats __attribute__((vector_size(4 * LANES)));
typedef uint32_t Words __attribute__((vector_size(4 * LANES)));
typedef uint16_t Halves __attribute__((vector_size(2 * LANES)));
typedef uint8_t Bytes __attribute__((vector_size(LANES)));
typedef uint16_t bfloat16;

// Numbers as the bits of float32, in which those of bfloat16 are the upper half.
inline Words bits(const float* from) {
  Words x;
  std::memcpy(&x, from, sizeof x);
  return x;
}

inline Words bits(const bfloat16* from) {
  Halves high;
  std::memcpy(&high, from, sizeof high);
  return __builtin_convertvector(high, Words) << 16;
}

inline Floats as_floats(Words bits) {
  Floats x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

inline void store(float* to, Words x) { std::memcpy(to, &x, sizeof x); }

// The upper halves.
inline void store(bfloat16* to, Words x) {
  Halves high = __builtin_convertvector(x >> 16, Halves);
  std::memcpy(to, &high, sizeof high);
}

// Whether a comes out on top of b: a NaN does.
inline Words is_above(Words a, Words b) {
  Floats x = as_floats(a), y = as_floats(b);
  return (Words)((x > y) | (x != x));
}
