// 3×3 convolutions of bfloat16 images in channels last with a border of one zero: forward, with or
// without the 2×2 max pooling after it, and the gradient of the filters. The gradient of the images
// is the forward of the turned filters.
//
// Winograd's F(2×2, 3×3): each tile of 2×2 answers needs 16 products per pair of channels in place
// of 36. With the matrices of Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks",
// 2015, arXiv:1509.09308:
//
//   answers = Aᵀ [(G filter Gᵀ) ⊙ (Bᵀ window B)] A,   filter' = Gᵀ [(Bᵀ window B) ⊙ (A answers' Aᵀ)] G
//
// The products of a block of tiles, summed over channels or over tiles, are 16 products of matrices,
// one for each place of the window of 4×4. All but their factors is float32.

#if defined(__AVX512BF16__)
#include <immintrin.h>
#include <omp.h>

#include <algorithm>
#include <vector>

#include "vectors.h"

namespace {

constexpr long PLACES = 16;
constexpr long ROWS = 6, VECTORS = 4;          // of sums that are kept in registers
constexpr long COLUMNS = VECTORS * LANES;      // answers' channels at a time
constexpr long TILES = 8 * ROWS;               // a block whose matrices stay in a cache of 1 MB
constexpr long GRADIENT_TILES = 2 * TILES;

// Images of `from` channels become maps of `to` channels and of the same size.
struct Shape {
  long images, height, width, from, to;
  long down, across;  // tiles of an image

  long tiles() const { return images * down * across; }
};

typedef Floats Window[4][4];

// A place's matrix of so many bytes, and as many more that the 16 places lie in different sets of the
// first cache.
constexpr long apart(long bytes) { return (bytes + 4095) / 4096 * 4096 + 64; }

inline __mmask16 lanes(long count) { return count >= LANES ? 0xffff : (1u << count) - 1; }

inline Floats load(const bfloat16* from, __mmask16 mask) {
  __m512i words = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, from));
  return (Floats)_mm512_slli_epi32(words, 16);
}

inline __m256i rounded(Floats x) { return (__m256i)_mm512_cvtneps_pbh((__m512)x); }

// As bits of float32.
inline Words nearest(Floats x) {
  return (Words)_mm512_slli_epi32(_mm512_cvtepu16_epi32(rounded(x)), 16);
}

// Bᵀ window B, in place.
inline void transform(Window d) {
  for (int j = 0; j < 4; j++) {
    Floats a = d[0][j] - d[2][j], b = d[1][j] + d[2][j], c = d[2][j] - d[1][j], e = d[1][j] - d[3][j];
    d[0][j] = a, d[1][j] = b, d[2][j] = c, d[3][j] = e;
  }
  for (int i = 0; i < 4; i++) {
    Floats a = d[i][0] - d[i][2], b = d[i][1] + d[i][2], c = d[i][2] - d[i][1], e = d[i][1] - d[i][3];
    d[i][0] = a, d[i][1] = b, d[i][2] = c, d[i][3] = e;
  }
}

inline void load_window(const bfloat16* const at[4][4], long c, __mmask16 mask, Window d) {
  for (int i = 0; i < 4; i++)
    for (int j = 0; j < 4; j++) d[i][j] = load(at[i][j] + c, mask);
  transform(d);
}

// A answers' Aᵀ.
inline void spread_answers(const bfloat16* const at[2][2], long c, Window d) {
  Floats rows[4][2];
  for (int j = 0; j < 2; j++) {
    Floats above = load(at[0][j] + c, 0xffff), below = load(at[1][j] + c, 0xffff);
    rows[0][j] = above, rows[1][j] = above + below, rows[2][j] = above - below, rows[3][j] = -below;
  }
  for (int i = 0; i < 4; i++) {
    d[i][0] = rows[i][0], d[i][1] = rows[i][0] + rows[i][1];
    d[i][2] = rows[i][0] - rows[i][1], d[i][3] = -rows[i][1];
  }
}

// R rows and V vectors of sums of products of pairs; a's numbers are pairs too.
template <int R, int V>
inline void multiply(const uint32_t* a, long a_row, long a_step, const uint32_t* b, long steps,
                     float* sums, long sums_row, bool is_added) {
  __m512 sum[R][V];
  for (int r = 0; r < R; r++)
    for (int v = 0; v < V; v++) sum[r][v] = _mm512_setzero_ps();
  for (long s = 0; s < steps; s++) {
    __m512bh right[V];
    for (int v = 0; v < V; v++)
      right[v] = (__m512bh)_mm512_loadu_si512(b + (s * V + v) * LANES);
#pragma GCC unroll 6
    for (int r = 0; r < R; r++) {
      __m512bh left = (__m512bh)_mm512_set1_epi32((int)a[r * a_row + s * a_step]);
#pragma GCC unroll 4
      for (int v = 0; v < V; v++) sum[r][v] = _mm512_dpbf16_ps(sum[r][v], left, right[v]);
    }
  }
  for (int r = 0; r < R; r++)
    for (int v = 0; v < V; v++) {
      float* to = sums + r * sums_row + v * LANES;
      _mm512_storeu_ps(to, is_added ? _mm512_add_ps(_mm512_loadu_ps(to), sum[r][v]) : sum[r][v]);
    }
}

template <int V>
void multiply_rows(long rows, const uint32_t* a, long a_row, long a_step, const uint32_t* b,
                   long steps, float* sums, long sums_row, bool is_added) {
  long r = 0;
  for (; r + ROWS <= rows; r += ROWS)
    multiply<ROWS, V>(a + r * a_row, a_row, a_step, b, steps, sums + r * sums_row, sums_row, is_added);
  for (; r < rows; r++)
    multiply<1, V>(a + r * a_row, a_row, a_step, b, steps, sums + r * sums_row, sums_row, is_added);
}

// A (rows × steps pairs) times B (steps pairs × columns).
void multiply(long columns, long rows, const uint32_t* a, long a_row, long a_step,
              const uint32_t* b, long steps, float* sums, long sums_row, bool is_added) {
  auto* f = columns > 48 ? multiply_rows<4> : columns > 32 ? multiply_rows<3>
          : columns > 16 ? multiply_rows<2> : multiply_rows<1>;
  f(rows, a, a_row, a_step, b, steps, sums, sums_row, is_added);
}

// Where a tile lies, and the pixels that it looks at; outside of the image are zeros.
struct Tile {
  long image, top, left;

  Tile(const Shape& s, long index) {
    image = index / (s.down * s.across);
    top = index / s.across % s.down * 2;
    left = index % s.across * 2;
  }

  void pixels(const Shape& s, const bfloat16* x, const bfloat16* zeros, const bfloat16* at[4][4]) const {
    for (long i = 0; i < 4; i++)
      for (long j = 0; j < 4; j++) {
        long y = top - 1 + i, z = left - 1 + j;
        bool inside = image < s.images && y >= 0 && y < s.height && z >= 0 && z < s.width;
        at[i][j] = inside ? x + ((image * s.height + y) * s.width + z) * s.from : zeros;
      }
  }

  void answers(const Shape& s, const bfloat16* dy, const bfloat16* zeros, const bfloat16* at[2][2]) const {
    for (long i = 0; i < 2; i++)
      for (long j = 0; j < 2; j++) {
        bool inside = image < s.images && top + i < s.height && left + j < s.width;
        long pixel = (image * s.height + top + i) * s.width + left + j;
        at[i][j] = inside ? dy + pixel * s.to : zeros;
      }
  }
};

void forward(Shape s, const bfloat16* x, const bfloat16* filters, bfloat16* y, uint8_t* which, int threads) {
  const long tiles = s.tiles(), blocks = (tiles + TILES - 1) / TILES, pairs = s.from / 2;
  const long window = apart(TILES * s.from * sizeof(bfloat16)) / sizeof(bfloat16);
  constexpr long SUM = apart(TILES * COLUMNS * sizeof(float)) / sizeof(float);
#pragma omp parallel num_threads(threads)
  {
    std::vector<bfloat16> zeros(s.from), windows(PLACES * window);
    std::vector<float> sums(PLACES * SUM);
#pragma omp for schedule(dynamic)
    for (long block = 0; block < blocks; block++) {
      const long first = block * TILES, count = std::min(TILES, tiles - first);
      for (long t = 0; t < count; t++) {
        const bfloat16* at[4][4];
        Tile(s, first + t).pixels(s, x, zeros.data(), at);
        for (long c = 0; c < s.from; c += LANES) {
          const __mmask16 mask = lanes(s.from - c);
          Window d;
          load_window(at, c, mask, d);
          for (int p = 0; p < PLACES; p++)
            _mm256_mask_storeu_epi16(&windows[p * window + t * s.from + c], mask, rounded(d[p / 4][p % 4]));
        }
      }
      for (long k = 0; k < s.to; k += COLUMNS) {
        const long columns = std::min(COLUMNS, s.to - k);
        for (long p = 0; p < PLACES; p++)
          multiply(columns, TILES, (const uint32_t*)&windows[p * window], pairs, 1,
                   (const uint32_t*)(filters + (PLACES * k + p * columns) * s.from), pairs,
                   &sums[p * SUM], COLUMNS, false);
        for (long t = 0; t < count; t++) {
          Tile tile(s, first + t);
          for (long c = 0; c < columns; c += LANES) {
            Floats m[4][4], rows[2][4], out[2][2];
            for (int p = 0; p < PLACES; p++)
              m[p / 4][p % 4] = (Floats)_mm512_loadu_ps(&sums[p * SUM + t * COLUMNS + c]);
            for (int j = 0; j < 4; j++) {
              rows[0][j] = m[0][j] + m[1][j] + m[2][j];
              rows[1][j] = m[1][j] - m[2][j] - m[3][j];
            }
            for (int i = 0; i < 2; i++) {
              out[i][0] = rows[i][0] + rows[i][1] + rows[i][2];
              out[i][1] = rows[i][1] - rows[i][2] - rows[i][3];
            }
            if (which) {
              long to = (first + t) * s.to + k + c;
              Words best = nearest(out[0][0]), index = {};
              for (uint32_t q = 1; q < 4; q++) {
                Words other = nearest(out[q / 2][q % 2]), above = is_above(other, best);
                best = (above & other) | (~above & best);
                index = (above & q) | (~above & index);
              }
              store(y + to, best);
              Bytes narrow = __builtin_convertvector(index, Bytes);
              std::memcpy(which + to, &narrow, sizeof narrow);
              continue;
            }
            for (long i = 0; i < 2 && tile.top + i < s.height; i++)
              for (long j = 0; j < 2 && tile.left + j < s.width; j++) {
                long pixel = (tile.image * s.height + tile.top + i) * s.width + tile.left + j;
                _mm256_storeu_si256((__m256i*)(y + pixel * s.to + k + c), rounded(out[i][j]));
              }
          }
        }
      }
    }
  }
}

// Pairs of bfloat16 of the even and the odd tile.
inline __m512i paired(Floats even, Floats odd) {
  const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8,
                                         23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  return _mm512_permutexvar_epi16(order, (__m512i)_mm512_cvtne2ps_pbh((__m512)odd, (__m512)even));
}

void filter_gradient(Shape s, const bfloat16* x, const bfloat16* dy, float* gradient, int threads) {
  const long tiles = s.tiles(), blocks = (tiles + GRADIENT_TILES - 1) / GRADIENT_TILES;
  const long size = PLACES * s.from * s.to;
  std::vector<std::vector<float>> all(threads);
#pragma omp parallel num_threads(threads)
  {
    constexpr long STEPS = GRADIENT_TILES / 2, ANSWER = apart(STEPS * COLUMNS * sizeof(uint32_t)) / sizeof(uint32_t);
    const long window = apart(STEPS * s.from * sizeof(uint32_t)) / sizeof(uint32_t);
    std::vector<bfloat16> zeros(std::max(s.from, s.to));
    std::vector<uint32_t> windows(PLACES * window), answers(PLACES * ANSWER);
    auto& sums = all[omp_get_thread_num()];
    sums.resize(size);
#pragma omp for schedule(static)
    for (long block = 0; block < blocks; block++) {
      const long first = block * GRADIENT_TILES, count = std::min(GRADIENT_TILES, tiles - first);
      for (long pair = 0; pair < (count + 1) / 2; pair++) {
        const bfloat16* at[2][4][4];
        for (long t = 0; t < 2; t++) Tile(s, first + 2 * pair + t).pixels(s, x, zeros.data(), at[t]);
        for (long c = 0; c < s.from; c += LANES) {
          const __mmask16 mask = lanes(s.from - c);
          Window d[2];
          for (int t = 0; t < 2; t++) load_window(at[t], c, mask, d[t]);
          for (int p = 0; p < PLACES; p++)
            _mm512_mask_storeu_epi32(&windows[p * window + pair * s.from + c], mask,
                                     paired(d[0][p / 4][p % 4], d[1][p / 4][p % 4]));
        }
      }
      for (long k = 0; k < s.to; k += COLUMNS) {
        const long columns = std::min(COLUMNS, s.to - k);
        for (long pair = 0; pair < (count + 1) / 2; pair++) {
          const bfloat16* at[2][2][2];
          for (long t = 0; t < 2; t++) Tile(s, first + 2 * pair + t).answers(s, dy, zeros.data(), at[t]);
          for (long c = 0; c < columns; c += LANES) {
            Window d[2];
            for (int t = 0; t < 2; t++) spread_answers(at[t], k + c, d[t]);
            for (int p = 0; p < PLACES; p++)
              _mm512_storeu_si512(&answers[p * ANSWER + pair * columns + c],
                                  paired(d[0][p / 4][p % 4], d[1][p / 4][p % 4]));
          }
        }
        for (long p = 0; p < PLACES; p++)
          multiply(columns, s.from, &windows[p * window], 1, s.from,
                   &answers[p * ANSWER], (count + 1) / 2,
                   &sums[p * s.from * s.to + k], s.to, true);
      }
    }
#pragma omp for schedule(static)
    for (long c = 0; c < s.from; c++)
      for (long k = 0; k < s.to; k += LANES) {
        Window d = {};
        for (const auto& part : all)
          if (!part.empty())
          for (int p = 0; p < PLACES; p++)
            d[p / 4][p % 4] += (Floats)_mm512_loadu_ps(&part[(p * s.from + c) * s.to + k]);
        Floats rows[3][4];
        for (int j = 0; j < 4; j++) {
          rows[0][j] = d[0][j] + 0.5f * (d[1][j] + d[2][j]);
          rows[1][j] = 0.5f * (d[1][j] - d[2][j]);
          rows[2][j] = d[3][j] + 0.5f * (d[1][j] + d[2][j]);
        }
        for (int i = 0; i < 3; i++) {
          Floats* r = rows[i];
          Floats out[3] = {r[0] + 0.5f * (r[1] + r[2]), 0.5f * (r[1] - r[2]), r[3] + 0.5f * (r[1] + r[2])};
          for (int j = 0; j < 3; j++)
            _mm512_storeu_ps(gradient + ((i * 3 + j) * s.from + c) * s.to + k, (__m512)out[j]);
        }
      }
  }
}

Shape shape_of(long images, long height, long width, long from, long to, bool is_pooled) {
  long more = is_pooled ? 0 : 1;
  return {images, height, width, from, to, (height + more) / 2, (width + more) / 2};
}

}  // namespace
#endif

extern "C" {
// `filters` become G filter Gᵀ of those in rows, columns, from, to: blocks of COLUMNS, of PLACES, of
// pairs of `from`.
void winograd_filters(long from, long to, const float* filters, uint16_t* places) {
#if defined(__AVX512BF16__)
  for (long k = 0; k < to; k += COLUMNS) {
    const long columns = std::min(COLUMNS, to - k);
    for (long c = 0; c < from; c++)
      for (long l = 0; l < columns; l += LANES) {
        Floats g[3][3], rows[4][3];
        for (int i = 0; i < 9; i++)
          g[i / 3][i % 3] = (Floats)_mm512_loadu_ps(filters + (i * from + c) * to + k + l);
        for (int j = 0; j < 3; j++) {
          rows[0][j] = g[0][j], rows[3][j] = g[2][j];
          rows[1][j] = 0.5f * (g[0][j] + g[1][j] + g[2][j]);
          rows[2][j] = 0.5f * (g[0][j] - g[1][j] + g[2][j]);
        }
        for (int i = 0; i < 4; i++) {
          Floats* r = rows[i];
          Floats out[4] = {r[0], 0.5f * (r[0] + r[1] + r[2]), 0.5f * (r[0] - r[1] + r[2]), r[2]};
          for (int j = 0; j < 4; j++) {
            uint32_t* to_ = (uint32_t*)(places + (PLACES * k + (i * 4 + j) * columns) * from) + c / 2 * columns + l;
            __m512i half = _mm512_cvtepu16_epi32(rounded(out[j]));
            if (c % 2) half = _mm512_or_si512(_mm512_loadu_si512(to_), _mm512_slli_epi32(half, 16));
            _mm512_storeu_si512(to_, half);
          }
        }
      }
  }
#endif
}

// To y of the size of x; or, with `which`, to maxima of 2×2 and the place of each, 0 to 3 in rows.
void winograd_forward(long images, long height, long width, long from, long to, const void* x,
                      const void* filters, void* y, uint8_t* which, int threads) {
#if defined(__AVX512BF16__)
  Shape s = shape_of(images, height, width, from, to, which);
  forward(s, (const bfloat16*)x, (const bfloat16*)filters, (bfloat16*)y, which, threads);
#endif
}

// `is_pooled`: dy is zero beyond the last whole tile.
void winograd_filter_gradient(int is_pooled, long images, long height, long width, long from, long to,
                              const void* x, const void* dy, float* gradient, int threads) {
#if defined(__AVX512BF16__)
  Shape s = shape_of(images, height, width, from, to, is_pooled);
  filter_gradient(s, (const bfloat16*)x, (const bfloat16*)dy, gradient, threads);
#endif
}
}
