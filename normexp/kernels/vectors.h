// Channels in the vectors that the processor has, of either type of numbers.

#pragma once

#include <cstdint>
#include <cstring>
#if defined(__AVX512BF16__)
#include <immintrin.h>
#endif

// Vectors wider than the processor's would be taken apart by the compiler, which does not see that
// a comparison of them is one instruction a part (GCC 12: 5 to 10 times as slow).
#if defined(__AVX512F__)
constexpr long WIDTH = 16;
#elif defined(__AVX2__)
constexpr long WIDTH = 8;
#else
constexpr long WIDTH = 4;
#endif
constexpr long LANES = 16;  // channels are a multiple of so many
typedef float Floats __attribute__((vector_size(4 * WIDTH)));
typedef uint32_t Words __attribute__((vector_size(4 * WIDTH)));
typedef uint16_t Halves __attribute__((vector_size(2 * WIDTH)));
typedef uint8_t Bytes __attribute__((vector_size(WIDTH)));
typedef uint16_t bfloat16;

// Numbers as the bits of float32, in which those of bfloat16 are the upper half.
inline Words bits(Floats x) { return (Words)x; }

inline Words bits(Halves high) { return __builtin_convertvector(high, Words) << 16; }

inline Words bits(const float* from) {
  Words x;
  std::memcpy(&x, from, sizeof x);
  return x;
}

inline Words bits(const bfloat16* from) {
  Halves high;
  std::memcpy(&high, from, sizeof high);
  return bits(high);
}

template <class T>
inline Floats load(const T* from) {
  return (Floats)bits(from);
}

// To the nearest bfloat16, ties to even; a NaN stays one.
inline Halves rounded(Floats x) {
#if defined(__AVX512BF16__)
  return (Halves)_mm512_cvtneps_pbh((__m512)x);
#else
  Words nearest = (bits(x) + 0x7fff + ((bits(x) >> 16) & 1)) >> 16;
  Words quiet = (bits(x) >> 16) | 0x40;
  Words is_nan = (Words)(x != x);
  return __builtin_convertvector((is_nan & quiet) | (~is_nan & nearest), Halves);
#endif
}

template <class V>
inline void copy(void* to, V x) {
  std::memcpy(to, &x, sizeof x);
}

inline void store(float* to, Floats x) { copy(to, x); }
inline void store(bfloat16* to, Floats x) { copy(to, rounded(x)); }

// Bits of numbers of the type that is stored.
inline void store(float* to, Words x) { copy(to, x); }
inline void store(bfloat16* to, Words x) { copy(to, __builtin_convertvector(x >> 16, Halves)); }

// Places in the windows of a pooling.
inline Words places(const uint8_t* from) {
  Bytes narrow;
  std::memcpy(&narrow, from, sizeof narrow);
  return __builtin_convertvector(narrow, Words);
}

// The highest of four in each lane and its place: a NaN if there is one, the first of equals.
template <class T>
inline void store_highest(const Words of[4], T* highest, uint8_t* which) {
  Words best = of[0], index = {};
  for (uint32_t k = 1; k < 4; k++) {
    Floats a = (Floats)of[k], b = (Floats)best;
    Words above = (Words)((a > b) | (a != a));
    best = (above & of[k]) | (~above & best);
    index = (above & k) | (~above & index);
  }
  store(highest, best);
  copy(which, __builtin_convertvector(index, Bytes));
}
