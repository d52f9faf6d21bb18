// The transforms of Winograd's F(2×2, 3×3), see winograd.cpp, of as many channels as lanes at a time.

#pragma once

#include "vectors.h"

namespace {

constexpr long PLACES = 16;
typedef Floats Window[4][4];

// Bᵀ times a column of a window.
inline void times_b_turned(const Floats x[4], Floats to[4]) {
  to[0] = x[0] - x[2], to[1] = x[1] + x[2], to[2] = x[2] - x[1], to[3] = x[1] - x[3];
}

// A times a column of the answers' gradient.
inline void times_a(const Floats y[2], Floats to[4]) {
  to[0] = y[0], to[1] = y[0] + y[1], to[2] = y[0] - y[1], to[3] = -y[1];
}

// Aᵀ times a column of sums.
inline void times_a_turned(const Floats m[4], Floats to[2]) {
  to[0] = m[0] + m[1] + m[2], to[1] = m[1] - m[2] - m[3];
}

// LANES × LANES filters: of each of 9 pixels, of each channel `from`, the lanes are those `to`.
typedef Floats Filters[9][LANES];

// G times a column of a filter.
inline void times_g(const Floats f[3], Floats to[4]) {
  Floats outer = 0.5f * (f[0] + f[2]), inner = 0.5f * f[1];
  to[0] = f[0], to[1] = outer + inner, to[2] = outer - inner, to[3] = f[2];
}

// Gᵀ times a column of a window.
inline void times_g_turned(const Floats d[4], Floats to[3]) {
  Floats sum = 0.5f * (d[1] + d[2]);
  to[0] = d[0] + sum, to[1] = 0.5f * (d[1] - d[2]), to[2] = sum + d[3];
}

// G filter Gᵀ of the i-th channel `from`.
inline void transform_filter(const Filters f, long i, Window g) {
  Window columns;
  for (int j = 0; j < 3; j++) {
    Floats column[] = {f[j][i], f[3 + j][i], f[6 + j][i]};
    times_g(column, columns[j]);
  }
  for (int h = 0; h < 4; h++) {
    Floats row[] = {columns[0][h], columns[1][h], columns[2][h]};
    times_g(row, g[h]);
  }
}

// Gᵀ window G, the gradient of a filter, as that of the i-th channel `from`.
inline void transform_back(const Window d, Filters f, long i) {
  Floats columns[4][3];
  for (int j = 0; j < 4; j++) {
    Floats column[] = {d[0][j], d[1][j], d[2][j], d[3][j]};
    times_g_turned(column, columns[j]);
  }
  for (int h = 0; h < 3; h++) {
    Floats row[] = {columns[0][h], columns[1][h], columns[2][h], columns[3][h]}, filter[3];
    times_g_turned(row, filter);
    for (int j = 0; j < 3; j++) f[3 * h + j][i] = filter[j];
  }
}

// Images of `from` channels become maps of `to` channels.
struct Shape {
  long images, height, width, from, to;

  long down() const { return (height + 1) / 2; }
  long across() const { return (width + 1) / 2; }
  long tiles() const { return images * down() * across(); }
};

// A tile that is not there, after the last, looks at zeros.
struct Tile {
  const Shape& s;
  long index, image, top, left;

  Tile(const Shape& s, long index)
      : s(s), index(index), image(index / (s.down() * s.across())),
        top(index / s.across() % s.down() * 2), left(index % s.across() * 2) {}

  bool is_there() const { return image < s.images; }

  // The place of a pixel among all, or −1 outside of the image.
  long pixel(long row, long column) const {
    bool inside = is_there() && row >= 0 && row < s.height && column >= 0 && column < s.width;
    return inside ? (image * s.height + row) * s.width + column : -1;
  }
};

inline __mmask16 first_lanes(long count) { return count >= LANES ? 0xffff : (1u << count) - 1; }

inline Floats masked_load(const bfloat16* from, __mmask16 mask) {
  return (Floats)bits((Halves)_mm256_maskz_loadu_epi16(mask, from));
}

inline Floats masked_load(const float* from, __mmask16 mask) {
  return (Floats)_mm512_maskz_loadu_ps(mask, from);
}

// Of LANES × LANES numbers, by exchanging the upper right and the lower left quarter of blocks.
inline void transpose(Floats m[LANES]) {
  const Words lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
#pragma GCC unroll 4
  for (uint32_t half = LANES / 2; half; half /= 2) {
    const Words is_right = (Words)((lane & half) != 0);  // those from LANES on are the second's
    const __m512i upper = (__m512i)(lane + (is_right & (uint32_t(LANES) - half)));
    const __m512i lower = (__m512i)(lane + half + (is_right & (uint32_t(LANES) - half)));
#pragma GCC unroll 16
    for (uint32_t i = 0; i < LANES; i++)
      if (!(i & half)) {
        const __m512 above = (__m512)m[i], below = (__m512)m[i + half];
        m[i] = (Floats)_mm512_permutex2var_ps(above, upper, below);
        m[i + half] = (Floats)_mm512_permutex2var_ps(above, lower, below);
      }
  }
}

// Pairs of bfloat16, the even one in the lower half.
inline __m512i paired(Floats even, Floats odd) {
  const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24,
                                         8, 23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  __m512i apart = (__m512i)_mm512_cvtne2ps_pbh((__m512)odd, (__m512)even);
  return _mm512_permutexvar_epi16(order, apart);
}

// The pixels that a tile looks at.
struct Pixels {
  const bfloat16* at[4][4];

  Pixels(const Tile& tile, const bfloat16* x, const bfloat16* zeros) {
    for (long i = 0; i < 4; i++)
      for (long j = 0; j < 4; j++) {
        long pixel = tile.pixel(tile.top - 1 + i, tile.left - 1 + j);
        at[i][j] = pixel < 0 ? zeros : x + pixel * tile.s.from;
      }
  }

  // Bᵀ window B of the channels from c.
  void transform(long c, __mmask16 mask, Window d) const {
    Window columns;
    for (int j = 0; j < 4; j++) {
      Floats x[4];
      for (int i = 0; i < 4; i++) x[i] = masked_load(at[i][j] + c, mask);
      times_b_turned(x, columns[j]);
    }
    for (int i = 0; i < 4; i++) {
      Floats row[] = {columns[0][i], columns[1][i], columns[2][i], columns[3][i]};
      times_b_turned(row, d[i]);
    }
  }
};

// The gradient of a tile's answers.
struct Gradients {
  const bfloat16* at[2][2];

  Gradients(const Tile& tile, const bfloat16* dy, const bfloat16* zeros) {
    for (long i = 0; i < 2; i++)
      for (long j = 0; j < 2; j++) {
        long pixel = tile.pixel(tile.top + i, tile.left + j);
        at[i][j] = pixel < 0 ? zeros : dy + pixel * tile.s.to;
      }
  }

  // A gradient Aᵀ of the channels from c.
  void transform(long c, Window d) const {
    Floats columns[2][4];
    for (int j = 0; j < 2; j++) {
      Floats y[] = {load(at[0][j] + c), load(at[1][j] + c)};
      times_a(y, columns[j]);
    }
    for (int i = 0; i < 4; i++) {
      Floats row[] = {columns[0][i], columns[1][i]};
      times_a(row, d[i]);
    }
  }
};

// The answers of a tile in as many channels as there are lanes.
struct Answers {
  Floats y[2][2];

  // Aᵀ sums A; `sums` lie a place apart.
  Answers(const float* sums, long place) {
    Floats columns[4][2];
    for (int j = 0; j < 4; j++) {
      Floats m[4];
      for (int i = 0; i < 4; i++) m[i] = load(sums + (4 * i + j) * place);
      times_a_turned(m, columns[j]);
    }
    for (int i = 0; i < 2; i++) {
      Floats row[] = {columns[0][i], columns[1][i], columns[2][i], columns[3][i]};
      times_a_turned(row, y[i]);
    }
  }

  void store_all(const Tile& tile, long c, bfloat16* to) const {
    for (long i = 0; i < 2; i++)
      for (long j = 0; j < 2; j++) {
        long pixel = tile.pixel(tile.top + i, tile.left + j);
        if (pixel >= 0) store(to + pixel * tile.s.to + c, y[i][j]);
      }
  }
};

}  // namespace
