// The transforms of Winograd's F(4×4, 3×3), see winograd_float32.cpp, of a vector of channels at a
// time.
//
// The points are 0, ±√½, ±√2 and ∞. With the usual 0, ±1, ±2 and ∞ the answers round twice as
// much; see Alam et al., "Winograd Convolution for Deep Neural Networks: Efficient Point
// Selection", 2022, doi:10.1145/3524069.

#pragma once

#include "products_float32.h"

namespace {

constexpr long TILE = 4, WINDOW = TILE + 2, PLACES = WINDOW * WINDOW;
constexpr float A = 0.70710678118654752f, B = 1.41421356237309505f;

// The values at ±a and at ±b of what is even and odd there.
inline void at_points(Vector even_a, Vector odd_a, Vector even_b, Vector odd_b, Vector to[WINDOW]) {
  to[1] = even_a + odd_a, to[2] = even_a - odd_a;
  to[3] = even_b + odd_b, to[4] = even_b - odd_b;
}

// Bᵀ times a column of pixels.
inline void times_b_turned(const Vector x[WINDOW], Vector to[WINDOW]) {
  to[0] = x[0] + x[4] - 2.5f * x[2], to[5] = x[1] + x[5] - 2.5f * x[3];
  at_points(x[4] - 2.0f * x[2], A * (x[3] - 2.0f * x[1]), x[4] - 0.5f * x[2],
            B * (x[3] - 0.5f * x[1]), to);
}

// A times a column of the answers' gradient.
inline void times_a(const Vector y[TILE], Vector to[WINDOW]) {
  to[0] = y[0], to[5] = y[3];
  at_points(y[0] + 0.5f * y[2], A * (y[1] + 0.5f * y[3]), y[0] + 2.0f * y[2],
            B * (y[1] + 2.0f * y[3]), to);
}

// G times a column of a filter.
inline void times_g(const Vector f[3], Vector to[WINDOW]) {
  constexpr float a = -2.0f / 3, b = 1.0f / 6;
  to[0] = f[0], to[5] = f[2];
  at_points(a * (f[0] + 0.5f * f[2]), a * A * f[1], b * (f[0] + 2.0f * f[2]), b * B * f[1], to);
}

// Aᵀ times a column of sums.
inline void times_a_turned(const Vector m[WINDOW], Vector to[TILE]) {
  Vector even_a = m[1] + m[2], odd_a = A * (m[1] - m[2]);
  Vector even_b = m[3] + m[4], odd_b = B * (m[3] - m[4]);
  to[0] = m[0] + even_a + even_b, to[1] = odd_a + odd_b;
  to[2] = 0.5f * even_a + 2.0f * even_b, to[3] = 0.5f * odd_a + 2.0f * odd_b + m[5];
}

// Gᵀ times a column of the gradient of a transformed filter.
inline void times_g_turned(const Vector d[WINDOW], Vector to[3]) {
  constexpr float a = -2.0f / 3, b = 1.0f / 6;
  Vector even_a = a * (d[1] + d[2]), even_b = b * (d[3] + d[4]);
  to[0] = d[0] + even_a + even_b, to[1] = a * A * (d[1] - d[2]) + b * B * (d[3] - d[4]);
  to[2] = 0.5f * even_a + 2.0f * even_b + d[5];
}

// A transform of the columns and then of the rows of FROM × FROM vectors `load(i, j)`, to TO × TO.
// Always inline, as it is slow where `transform` is called.
template <long FROM, long TO, class Load, class Store>
__attribute__((always_inline)) inline void transform(Load load,
                                                     void times(const Vector*, Vector*),
                                                     Store store) {
  Vector half[FROM][TO];
#pragma GCC unroll 6
  for (long j = 0; j < FROM; j++) {
    Vector column[FROM];
#pragma GCC unroll 6
    for (long i = 0; i < FROM; i++) column[i] = load(i, j);
    times(column, half[j]);
  }
#pragma GCC unroll 6
  for (long i = 0; i < TO; i++) {
    Vector row[FROM], to[TO];
#pragma GCC unroll 6
    for (long j = 0; j < FROM; j++) row[j] = half[j][i];
    times(row, to);
#pragma GCC unroll 6
    for (long j = 0; j < TO; j++) store(i, j, to[j]);
  }
}

// Images of `from` channels become maps of `to` channels.
struct Shape {
  long images, height, width, from, to;

  long down() const { return (height + TILE - 1) / TILE; }
  long across() const { return (width + TILE - 1) / TILE; }
  long tiles() const { return images * down() * across(); }
};

// The window of a tile: the places of its pixels among all, or −1 outside of the image.
struct Window {
  long at[WINDOW][WINDOW];

  Window() = default;

  Window(const Shape& s, long tile) {
    const long image = tile / (s.down() * s.across());
    const long top = tile / s.across() % s.down() * TILE - 1, left = tile % s.across() * TILE - 1;
    for (long i = 0; i < WINDOW; i++)
      for (long j = 0; j < WINDOW; j++) {
        const long row = top + i, column = left + j;
        const bool inside = row >= 0 && row < s.height && column >= 0 && column < s.width;
        at[i][j] = inside ? (image * s.height + row) * s.width + column : -1;
      }
  }

  // Of the tile alone.
  long inner(long i, long j) const { return at[i + 1][j + 1]; }
};

// Panels of LANES channels, of a matrix (rows, LANES) for each place, rows being tiles or channels.
// From place to place it is an odd number of lines of the cache, so that a row's numbers of all places
// do not lie in one set of it.
struct Panels {
  long place, size;
  Room room;

  Panels(long count, long rows)
      : place((rows | 1) * LANES), size(PLACES * place), room(count * size) {}

  float* at(long panel, long p, long row = 0) const {
    return room.get() + panel * size + p * place + row * LANES;
  }
};

}  // namespace
