// 3×3 convolutions of bfloat16 images in channels last with a border of one zero, if wanted with
// the 2×2 max pooling after them: forward, and the gradient of the filters. The gradient of the
// images is the forward of the turned filters.
//
// By Winograd's F(2×2, 3×3) a tile of 2×2 answers needs 16 products for a pair of channels, not 36;
// in the matrices of Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2015,
// arXiv:1509.09308, whose window is the 4×4 pixels that a tile looks at,
//
//   answers = Aᵀ [(G filter Gᵀ) ⊙ (Bᵀ window B)] A
//   gradient of the filter = Gᵀ [(Bᵀ window B) ⊙ (A gradient of the answers Aᵀ)] G
//
// The products are summed over channels, or over tiles, by 16 products of matrices, one for each
// place of the window. Their factors are bfloat16, all else is float32. Without instructions for
// that there are no such functions.

#if defined(__AVX512BF16__)
#include <immintrin.h>
#include <omp.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "vectors.h"

namespace {

constexpr long PLACES = 16;
constexpr int ROWS = 6, VECTORS = 4;       // of sums that fit in registers
constexpr long COLUMNS = VECTORS * LANES;  // channels of answers at a time
// Tiles at a time, so that the matrices of 192 channels stay in a cache of 1 MB.
constexpr long TILES = 8 * ROWS, PAIRS = TILES;

typedef Floats Window[4][4];

// The bytes from one place's matrix to the next: all 16 lie in different sets of the first cache.
constexpr long apart(long bytes) { return (bytes + 4095) / 4096 * 4096 + 64; }

// Images of `from` channels become maps of `to` channels.
struct Shape {
  long images, height, width, from, to;
  bool is_pooled;

  // Pooling leaves out an odd last row or column.
  long down() const { return (height + !is_pooled) / 2; }
  long across() const { return (width + !is_pooled) / 2; }
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

inline Floats load(const bfloat16* from, __mmask16 mask = 0xffff) {
  __m512i words = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, from));
  return (Floats)_mm512_slli_epi32(words, 16);
}

inline __m256i rounded(Floats x) { return (__m256i)_mm512_cvtneps_pbh((__m512)x); }

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
    for (int j = 0; j < 4; j++) {
      Floats x[4];
      for (int i = 0; i < 4; i++) x[i] = load(at[i][j] + c, mask);
      d[0][j] = x[0] - x[2], d[1][j] = x[1] + x[2], d[2][j] = x[2] - x[1], d[3][j] = x[1] - x[3];
    }
    for (int i = 0; i < 4; i++) {
      Floats x[4] = {d[i][0], d[i][1], d[i][2], d[i][3]};
      d[i][0] = x[0] - x[2], d[i][1] = x[1] + x[2], d[i][2] = x[2] - x[1], d[i][3] = x[1] - x[3];
    }
  }
};

// The gradient of a tile's answers, or of their maximum.
struct Gradients {
  const bfloat16* at[2][2];
  const uint8_t* which;

  Gradients(const Tile& tile, const bfloat16* dy, const uint8_t* all, const bfloat16* zeros) {
    const long to = tile.s.to;
    which = all && tile.is_there() ? all + tile.index * to : nullptr;
    for (long i = 0; i < 2; i++)
      for (long j = 0; j < 2; j++) {
        long pixel = all ? (which ? tile.index : -1) : tile.pixel(tile.top + i, tile.left + j);
        at[i][j] = pixel < 0 ? zeros : dy + pixel * to;
      }
  }

  // A gradient Aᵀ of the channels from c.
  void transform(long c, Window d) const {
    Floats rows[4][2];
    for (int j = 0; j < 2; j++) {
      Floats y[2] = {answer(0, j, c), answer(1, j, c)};
      rows[0][j] = y[0], rows[1][j] = y[0] + y[1], rows[2][j] = y[0] - y[1], rows[3][j] = -y[1];
    }
    for (int i = 0; i < 4; i++) {
      Floats* y = rows[i];
      d[i][0] = y[0], d[i][1] = y[0] + y[1], d[i][2] = y[0] - y[1], d[i][3] = -y[1];
    }
  }

  Floats answer(int i, int j, long c) const {
    Floats y = load(at[i][j] + c);
    if (!which) return y;
    __m512i index = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i*)(which + c)));
    __mmask16 is_here = _mm512_cmpeq_epi32_mask(index, _mm512_set1_epi32(2 * i + j));
    return (Floats)_mm512_maskz_mov_ps(is_here, (__m512)y);
  }
};

// The answers of a tile in as many channels as there are lanes.
struct Answers {
  Floats y[2][2];

  // Aᵀ sums A; `sums` lie a place apart.
  Answers(const float* sums, long place) {
    Floats rows[2][4];
    for (int j = 0; j < 4; j++) {
      Floats m[4];
      for (int i = 0; i < 4; i++) m[i] = (Floats)_mm512_loadu_ps(sums + (4 * i + j) * place);
      rows[0][j] = m[0] + m[1] + m[2], rows[1][j] = m[1] - m[2] - m[3];
    }
    for (int i = 0; i < 2; i++) {
      Floats* m = rows[i];
      y[i][0] = m[0] + m[1] + m[2], y[i][1] = m[1] - m[2] - m[3];
    }
  }

  void store_all(const Tile& tile, long c, bfloat16* to) const {
    for (long i = 0; i < 2; i++)
      for (long j = 0; j < 2; j++) {
        long pixel = tile.pixel(tile.top + i, tile.left + j);
        if (pixel >= 0)
          _mm256_storeu_si256((__m256i*)(to + pixel * tile.s.to + c), rounded(y[i][j]));
      }
  }

  // Rounded before they are compared, so that equals are those of a pooling that comes after.
  void store_maximum(const Tile& tile, long c, bfloat16* to, uint8_t* which) const {
    Words best = nearest(y[0][0]), index = {};
    for (uint32_t k = 1; k < 4; k++) {
      Words other = nearest(y[k / 2][k % 2]), above = is_above(other, best);
      best = (above & other) | (~above & best);
      index = (above & k) | (~above & index);
    }
    store(to + tile.index * tile.s.to + c, best);
    Bytes narrow = __builtin_convertvector(index, Bytes);
    std::memcpy(which + tile.index * tile.s.to + c, &narrow, sizeof narrow);
  }

  static Words nearest(Floats x) {
    return (Words)_mm512_slli_epi32(_mm512_cvtepu16_epi32(rounded(x)), 16);
  }
};

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

// G filter Gᵀ of filters in rows, columns, from and to; as the right factors of COLUMNS answers,
// of each place, of pairs of `from`.
void transform_filters(long from, long to, const float* filters, bfloat16* transformed) {
  for (long k = 0; k < to; k += COLUMNS) {
    const long columns = std::min(COLUMNS, to - k);
    for (long c = 0; c < from; c += 2)
      for (long l = 0; l < columns; l += LANES) {
        Window g[2];
        for (long i = 0; i < 2; i++) {
          const float* at = filters + (c + i) * to + k + l;
          Floats turned[3][4];
          for (long j = 0; j < 3; j++) {
            Floats f[3];
            for (long h = 0; h < 3; h++)
              f[h] = (Floats)_mm512_loadu_ps(at + (3 * h + j) * from * to);
            times_g(f, turned[j]);
          }
          for (long h = 0; h < 4; h++) {
            Floats f[] = {turned[0][h], turned[1][h], turned[2][h]};
            times_g(f, g[i][h]);
          }
        }
        for (long p = 0; p < PLACES; p++) {
          bfloat16* at = transformed + (PLACES * k + p * columns) * from + c * columns + 2 * l;
          _mm512_storeu_si512(at, paired(g[0][p / 4][p % 4], g[1][p / 4][p % 4]));
        }
      }
  }
}

// Not set to zero, which takes time where batches are small.
template <class T>
std::unique_ptr<T[]> room(long size) {
  return std::unique_ptr<T[]>(new T[size]);
}

// How many of `all` at a time: at most so many, a multiple of `step`, a share for each thread.
long block_size(long all, long most, int threads, long step) {
  return std::min(most, (all + threads * step - 1) / (threads * step) * step);
}

void forward(Shape s, const bfloat16* x, const bfloat16* filters, bfloat16* y, uint8_t* which,
             int threads) {
  const long tiles = s.tiles(), most = block_size(tiles, TILES, threads, ROWS);
  const long window = apart(TILES * s.from * sizeof(bfloat16)) / sizeof(bfloat16);
  constexpr long SUMS = apart(TILES * COLUMNS * sizeof(float)) / sizeof(float);
#pragma omp parallel num_threads(threads)
  {
    const std::vector<bfloat16> zeros(s.from);
    const auto windows = room<bfloat16>(PLACES * window);
    const auto sums = room<float>(PLACES * SUMS);
#pragma omp for schedule(dynamic)
    for (long first = 0; first < tiles; first += most) {
      const long count = std::min(most, tiles - first);
      for (long t = 0; t < count; t++) {
        const Pixels pixels(Tile(s, first + t), x, zeros.data());
        for (long c = 0; c < s.from; c += LANES) {
          const __mmask16 mask = first_lanes(s.from - c);
          Window d;
          pixels.transform(c, mask, d);
          for (int p = 0; p < PLACES; p++)
            _mm256_mask_storeu_epi16(&windows[p * window + t * s.from + c], mask,
                                     rounded(d[p / 4][p % 4]));
        }
      }
      for (long k = 0; k < s.to; k += COLUMNS) {
        const long columns = std::min(COLUMNS, s.to - k);
        for (long p = 0; p < PLACES; p++)
          multiply(count, columns, {(const uint32_t*)&windows[p * window], s.from / 2, 1},
                   (const uint32_t*)(filters + (PLACES * k + p * columns) * s.from), s.from / 2,
                   &sums[p * SUMS], columns, false);
        for (long t = 0; t < count; t++) {
          const Tile tile(s, first + t);
          for (long c = 0; c < columns; c += LANES) {
            const Answers answers(&sums[t * columns + c], SUMS);
            if (which)
              answers.store_maximum(tile, k + c, y, which);
            else
              answers.store_all(tile, k + c, y);
          }
        }
      }
    }
  }
}

void filter_gradient(Shape s, const bfloat16* x, const bfloat16* dy, const uint8_t* which,
                     float* gradient, int threads) {
  const long pairs = (s.tiles() + 1) / 2, most = block_size(pairs, PAIRS, threads, 1);
  const long window = apart(PAIRS * s.from * sizeof(uint32_t)) / sizeof(uint32_t);
  constexpr long GRADIENTS = apart(PAIRS * COLUMNS * sizeof(uint32_t)) / sizeof(uint32_t);
  std::vector<std::unique_ptr<float[]>> parts(threads);
#pragma omp parallel num_threads(threads)
  {
    const std::vector<bfloat16> zeros(std::max(s.from, s.to));
    const auto windows = room<uint32_t>(PLACES * window);
    const auto gradients = room<uint32_t>(PLACES * GRADIENTS);
    std::unique_ptr<float[]>& sums = parts[omp_get_thread_num()];
#pragma omp for schedule(static)
    for (long first = 0; first < pairs; first += most) {
      const long count = std::min(most, pairs - first);
      const bool is_first = !sums;
      if (is_first) sums = room<float>(PLACES * s.from * s.to);
      for (long t = 0; t < count; t++) {
        const Tile even(s, 2 * (first + t)), odd(s, 2 * (first + t) + 1);
        const Pixels pixels[] = {{even, x, zeros.data()}, {odd, x, zeros.data()}};
        for (long c = 0; c < s.from; c += LANES) {
          const __mmask16 mask = first_lanes(s.from - c);
          Window d[2];
          for (int i = 0; i < 2; i++) pixels[i].transform(c, mask, d[i]);
          for (int p = 0; p < PLACES; p++)
            _mm512_mask_storeu_epi32(&windows[p * window + t * s.from + c], mask,
                                     paired(d[0][p / 4][p % 4], d[1][p / 4][p % 4]));
        }
      }
      for (long k = 0; k < s.to; k += COLUMNS) {
        const long columns = std::min(COLUMNS, s.to - k);
        for (long t = 0; t < count; t++) {
          const Tile even(s, 2 * (first + t)), odd(s, 2 * (first + t) + 1);
          const Gradients from[] = {{even, dy, which, zeros.data()},
                                    {odd, dy, which, zeros.data()}};
          for (long c = 0; c < columns; c += LANES) {
            Window d[2];
            for (int i = 0; i < 2; i++) from[i].transform(k + c, d[i]);
            for (int p = 0; p < PLACES; p++)
              _mm512_storeu_si512(&gradients[p * GRADIENTS + t * columns + c],
                                  paired(d[0][p / 4][p % 4], d[1][p / 4][p % 4]));
          }
        }
        for (long p = 0; p < PLACES; p++)
          multiply(s.from, columns, {&windows[p * window], 1, s.from}, &gradients[p * GRADIENTS],
                   count, &sums[p * s.from * s.to + k], s.to, !is_first);
      }
    }
#pragma omp for schedule(static)
    for (long c = 0; c < s.from; c++)
      for (long k = 0; k < s.to; k += LANES) {
        Window d = {};
        for (const std::unique_ptr<float[]>& part : parts)
          for (long p = 0; p < PLACES && part; p++)
            d[p / 4][p % 4] += (Floats)_mm512_loadu_ps(&part[(p * s.from + c) * s.to + k]);
        Floats turned[4][3];
        for (int j = 0; j < 4; j++) {
          Floats column[] = {d[0][j], d[1][j], d[2][j], d[3][j]};
          times_g_turned(column, turned[j]);
        }
        for (int i = 0; i < 3; i++) {
          Floats row[] = {turned[0][i], turned[1][i], turned[2][i], turned[3][i]}, filter[3];
          times_g_turned(row, filter);
          for (int j = 0; j < 3; j++)
            _mm512_storeu_ps(gradient + ((i * 3 + j) * s.from + c) * s.to + k, (__m512)filter[j]);
        }
      }
  }
}

}  // namespace

extern "C" {

void winograd_filters(long from, long to, const float* filters, void* transformed) {
  transform_filters(from, to, filters, (bfloat16*)transformed);
}

// To maps y of the size of x; or, with `which`, to their maxima of 2×2 and the place of each, 0 to
// 3 in rows. Filters are transformed ones.
void winograd_forward(long images, long height, long width, long from, long to, const void* x,
                      const void* filters, void* y, uint8_t* which, int threads) {
  Shape s{images, height, width, from, to, which != nullptr};
  forward(s, (const bfloat16*)x, (const bfloat16*)filters, (bfloat16*)y, which, threads);
}

// Of filters in rows, columns, from and to. With `which`, dy is the gradient of the maxima.
void winograd_filter_gradient(long images, long height, long width, long from, long to,
                              const void* x, const void* dy, const uint8_t* which, float* gradient,
                              int threads) {
  Shape s{images, height, width, from, to, which != nullptr};
  filter_gradient(s, (const bfloat16*)x, (const bfloat16*)dy, which, gradient, threads);
}
}
#endif
