// The transforms of Winograd's F(2×2, 3×3) and F(4×4, 3×3) in one dimension, of a vector of channels
// at a time; see winograd_float32.cpp. F(4×4) looks at the points 0, ±√½, ±√2 and infinity: with
// Lavin's 0, ±1, ±2 it rounds twice as much. Alam et al., "Winograd Convolution for Deep Neural
// Networks: Efficient Point Selection", 2022, arXiv:2201.10369.

#pragma once

#include <cstring>

namespace {

#if defined(__AVX512F__)
constexpr long WIDE = 16;
#elif defined(__AVX__)
constexpr long WIDE = 8;
#else
constexpr long WIDE = 4;
#endif
typedef float Vector __attribute__((vector_size(4 * WIDE)));

inline Vector load(const float* from) {
  Vector x;
  std::memcpy(&x, from, sizeof x);
  return x;
}

inline void store(float* to, Vector x) { std::memcpy(to, &x, sizeof x); }

struct F2 {
  static constexpr long TILE = 2, WINDOW = 4;

  // Bᵀ times a column of pixels.
  static void times_b_turned(const Vector* x, Vector* to) {
    to[0] = x[0] - x[2], to[1] = x[1] + x[2], to[2] = x[2] - x[1], to[3] = x[3] - x[1];
  }

  // Aᵀ times a column of sums.
  static void times_a_turned(const Vector* m, Vector* to) {
    to[0] = m[0] + m[1] + m[2], to[1] = m[1] - m[2] + m[3];
  }

  // A times a column of the answers' gradient.
  static void times_a(const Vector* y, Vector* to) {
    to[0] = y[0], to[1] = y[0] + y[1], to[2] = y[0] - y[1], to[3] = y[1];
  }

  // G times a column of a filter.
  static void times_g(const Vector* f, Vector* to) {
    Vector outer = 0.5f * (f[0] + f[2]), inner = 0.5f * f[1];
    to[0] = f[0], to[1] = outer + inner, to[2] = outer - inner, to[3] = f[2];
  }

  // Gᵀ times a column of gradients.
  static void times_g_turned(const Vector* d, Vector* to) {
    Vector sum = 0.5f * (d[1] + d[2]);
    to[0] = d[0] + sum, to[1] = 0.5f * (d[1] - d[2]), to[2] = sum + d[3];
  }
};

struct F4 {
  static constexpr long TILE = 4, WINDOW = 6;
  static constexpr float A = 0.70710678118654752f, B = 1.41421356237309505f;  // √½ and √2

  static void times_b_turned(const Vector* x, Vector* to) {
    Vector even_a = x[4] - 2.0f * x[2], odd_a = A * (x[3] - 2.0f * x[1]);
    Vector even_b = x[4] - 0.5f * x[2], odd_b = B * (x[3] - 0.5f * x[1]);
    to[0] = x[0] + x[4] - 2.5f * x[2], to[5] = x[1] + x[5] - 2.5f * x[3];
    to[1] = even_a + odd_a, to[2] = even_a - odd_a;
    to[3] = even_b + odd_b, to[4] = even_b - odd_b;
  }

  static void times_a_turned(const Vector* m, Vector* to) {
    Vector even_a = m[1] + m[2], odd_a = A * (m[1] - m[2]);
    Vector even_b = m[3] + m[4], odd_b = B * (m[3] - m[4]);
    to[0] = m[0] + even_a + even_b, to[1] = odd_a + odd_b;
    to[2] = 0.5f * even_a + 2.0f * even_b, to[3] = 0.5f * odd_a + 2.0f * odd_b + m[5];
  }

  static void times_a(const Vector* y, Vector* to) {
    Vector even_a = y[0] + 0.5f * y[2], odd_a = A * (y[1] + 0.5f * y[3]);
    Vector even_b = y[0] + 2.0f * y[2], odd_b = B * (y[1] + 2.0f * y[3]);
    to[0] = y[0], to[5] = y[3];
    to[1] = even_a + odd_a, to[2] = even_a - odd_a;
    to[3] = even_b + odd_b, to[4] = even_b - odd_b;
  }

  static void times_g(const Vector* f, Vector* to) {
    constexpr float a = -2.0f / 3, b = 1.0f / 6;
    Vector even_a = a * (f[0] + 0.5f * f[2]), odd_a = a * A * f[1];
    Vector even_b = b * (f[0] + 2.0f * f[2]), odd_b = b * B * f[1];
    to[0] = f[0], to[5] = f[2];
    to[1] = even_a + odd_a, to[2] = even_a - odd_a;
    to[3] = even_b + odd_b, to[4] = even_b - odd_b;
  }

  static void times_g_turned(const Vector* d, Vector* to) {
    constexpr float a = -2.0f / 3, b = 1.0f / 6;
    Vector even_a = a * (d[1] + d[2]), odd_a = a * A * (d[1] - d[2]);
    Vector even_b = b * (d[3] + d[4]), odd_b = b * B * (d[3] - d[4]);
    to[0] = d[0] + even_a + even_b, to[1] = odd_a + odd_b;
    to[2] = 0.5f * even_a + 2.0f * even_b + d[5];
  }
};

// A transform in both dimensions, from FROM × FROM vectors `load(i, j)` to TO × TO.
template <long FROM, long TO, class Load, class Transform, class Store>
inline void in_both(Load load, Transform transform, Store store) {
  Vector half[FROM][TO];
#pragma GCC unroll 6
  for (long j = 0; j < FROM; j++) {
    Vector column[FROM];
#pragma GCC unroll 6
    for (long i = 0; i < FROM; i++) column[i] = load(i, j);
    transform(column, half[j]);
  }
#pragma GCC unroll 6
  for (long i = 0; i < TO; i++) {
    Vector row[FROM], to[TO];
#pragma GCC unroll 6
    for (long j = 0; j < FROM; j++) row[j] = half[j][i];
    transform(row, to);
#pragma GCC unroll 6
    for (long j = 0; j < TO; j++) store(i, j, to[j]);
  }
}

}  // namespace
