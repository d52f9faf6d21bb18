// Products of matrices of pairs of bfloat16, the even one in the lower half of a word.

#pragma once

#include "vectors.h"

namespace {

constexpr int ROWS = 6, VECTORS = 4;       // of sums that fit in registers
constexpr long COLUMNS = VECTORS * LANES;  // of a right matrix

// A matrix of pairs: the words from a row, or from a step of the sum, to the next.
struct Left {
  const uint32_t* at;
  long row, step;
};

// R rows and V vectors of the product of matrices of pairs.
template <int R, int V>
inline void multiply(Left a, const uint32_t* b, long steps, float* sums, long row, bool is_added) {
  __m512 sum[R][V];
  for (int r = 0; r < R; r++)
    for (int v = 0; v < V; v++) sum[r][v] = _mm512_setzero_ps();
  if (is_added)
    for (int r = 0; r < R; r++)
      for (int v = 0; v < V; v++) _mm_prefetch(sums + r * row + v * LANES, _MM_HINT_T0);
  for (long s = 0; s < steps; s++) {
    __m512bh right[V];
    for (int v = 0; v < V; v++) right[v] = (__m512bh)_mm512_loadu_si512(b + (s * V + v) * LANES);
#pragma GCC unroll 6
    for (int r = 0; r < R; r++) {
      __m512bh left = (__m512bh)_mm512_set1_epi32((int)a.at[r * a.row + s * a.step]);
#pragma GCC unroll 4
      for (int v = 0; v < V; v++) sum[r][v] = _mm512_dpbf16_ps(sum[r][v], left, right[v]);
    }
  }
  for (int r = 0; r < R; r++)
    for (int v = 0; v < V; v++) {
      float* to = sums + r * row + v * LANES;
      _mm512_storeu_ps(to, is_added ? _mm512_add_ps(_mm512_loadu_ps(to), sum[r][v]) : sum[r][v]);
    }
}

template <int V>
void multiply(long rows, Left a, const uint32_t* b, long steps, float* sums, long row,
              bool is_added) {
  long r = 0;
  for (; r + ROWS <= rows; r += ROWS, a.at += ROWS * a.row)
    multiply<ROWS, V>(a, b, steps, sums + r * row, row, is_added);
  for (; r < rows; r++, a.at += a.row) multiply<1, V>(a, b, steps, sums + r * row, row, is_added);
}

// a (rows × steps) times b (steps × columns), instead of `sums` or added to them.
void multiply(long rows, long columns, Left a, const uint32_t* b, long steps, float* sums, long row,
              bool is_added) {
  const decltype(&multiply<1>) by_vectors[] = {multiply<1>, multiply<2>, multiply<3>, multiply<4>};
  by_vectors[columns / LANES - 1](rows, a, b, steps, sums, row, is_added);
}

}  // namespace
