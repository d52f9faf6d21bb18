// Products of float32 matrices in panels of LANES channels, in the vectors that the processor has.

#pragma once

#include <algorithm>
#include <cstring>
#include <memory>

namespace {

#if defined(__AVX512F__)
constexpr long WIDTH = 16, ROWS = 16;  // accumulators: ROWS · LANES / WIDTH of 32 registers
#elif defined(__AVX__)
constexpr long WIDTH = 8, ROWS = 6;  // 12 of 16
#else
constexpr long WIDTH = 4, ROWS = 4;  // 16 of 32
#endif
constexpr long LANES = 16, PARTS = LANES / WIDTH;
typedef float Vector __attribute__((vector_size(4 * WIDTH)));

inline Vector load(const float* from) {
  Vector x;
  std::memcpy(&x, from, sizeof x);
  return x;
}

inline void store(float* to, Vector x) { std::memcpy(to, &x, sizeof x); }

// Room for numbers in whole lines of the cache. It is not set to zero, which takes time where
// batches are small.
class Room {
  struct alignas(64) Line {
    float at[16];
    Line() {}
  };
  std::unique_ptr<Line[]> lines;

 public:
  explicit Room(long floats) : lines(new Line[(floats + 15) / 16]) {}
  float* get() const { return lines[0].at; }
};

// `count` rows of a times b, (steps, LANES), into `sums`, (count, LANES), or added to them. Elements
// of a are ROW floats apart from row to row and STEP from step to step; the
// elements of the next LANES steps are `jump` further.
template <long count, long ROW, long STEP>
void multiply(const float* a, long jump, const float* b, long steps, float* sums, bool is_added) {
  Vector sum[count][PARTS] = {};
  for (; steps > 0; steps -= LANES, a += jump)
    for (long i = 0; i < std::min(steps, LANES); i++, b += LANES)
#pragma GCC unroll 16
      for (long r = 0; r < count; r++)
#pragma GCC unroll 4
        for (long v = 0; v < PARTS; v++)
          sum[r][v] += a[r * ROW + i * STEP] * load(b + v * WIDTH);
#pragma GCC unroll 16
  for (long r = 0; r < count; r++)
#pragma GCC unroll 4
    for (long v = 0; v < PARTS; v++) {
      float* to = sums + r * LANES + v * WIDTH;
      store(to, is_added ? load(to) + sum[r][v] : sum[r][v]);
    }
}

// The same of any number of rows, as many at a time as registers can hold.
template <long ROW, long STEP, long most = ROWS>
void multiply_rows(long rows, const float* a, long jump, const float* b, long steps, float* sums,
                   bool is_added = false) {
  for (; rows >= most; rows -= most, a += most * ROW, sums += most * LANES)
    multiply<most, ROW, STEP>(a, jump, b, steps, sums, is_added);
  if constexpr (most > 1)
    if (rows > 0) multiply_rows<ROW, STEP, most - 1>(rows, a, jump, b, steps, sums, is_added);
}

}  // namespace
