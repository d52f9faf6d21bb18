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

// Where the numbers of a left factor lie: ROW apart from row to row and STEP from step to step; of
// the next LANES steps they are `jump` further.
template <long ROW, long STEP>
struct Left {
  const float* at;
  long jump;

  float operator()(long row, long step) const { return at[row * ROW + step * STEP]; }
  Left below(long rows) const { return {at + rows * ROW, jump}; }
  void next() { at += jump; }
};

// `count` rows of a times b, (steps, LANES), into `sums`, (count, LANES), or added to them.
template <long count, class A>
void multiply(A a, const float* b, long steps, float* sums, bool is_added) {
  Vector sum[count][PARTS] = {};
  for (; steps > 0; steps -= LANES, a.next())
    for (long i = 0; i < std::min(steps, LANES); i++, b += LANES)
#pragma GCC unroll 16
      for (long r = 0; r < count; r++)
#pragma GCC unroll 4
        for (long v = 0; v < PARTS; v++)
          sum[r][v] += a(r, i) * load(b + v * WIDTH);
#pragma GCC unroll 16
  for (long r = 0; r < count; r++)
#pragma GCC unroll 4
    for (long v = 0; v < PARTS; v++) {
      float* to = sums + r * LANES + v * WIDTH;
      store(to, is_added ? load(to) + sum[r][v] : sum[r][v]);
    }
}

// The same of any number of rows, as many at a time as registers can hold.
template <long most = ROWS, class A>
void multiply_rows(long rows, A a, const float* b, long steps, float* sums,
                   bool is_added = false) {
  for (; rows >= most; rows -= most, a = a.below(most), sums += most * LANES)
    multiply<most>(a, b, steps, sums, is_added);
  if constexpr (most > 1)
    if (rows > 0) multiply_rows<most - 1>(rows, a, b, steps, sums, is_added);
}

}  // namespace
