// 3×3 convolutions of bfloat16 images in channels last with a border of one zero: forward, and the
// gradient of the filters. The gradient of the images is the forward of the turned filters.
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
#include <omp.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "products.h"
#include "winograd.h"

namespace {

// Tiles at a time, so that the matrices of 192 channels stay in a cache of 1 MB.
constexpr long TILES = 8 * ROWS, PAIRS = TILES;

// The bytes from one place's matrix to the next: all 16 lie in different sets of the first cache.
constexpr long apart(long bytes) { return (bytes + 4095) / 4096 * 4096 + 64; }

// The channels from c and to k of filters that lie as `to`, pixels and `from`; or, turned by half a
// turn, of filters that lie as `from`, pixels and `to`.
inline void load_filters(const float* filters, long from, long to, bool is_turned, long c, long k,
                         Filters f) {
  const __mmask16 mask = first_lanes(from - c);
  for (long p = 0; p < 9; p++) {
    for (long i = 0; i < LANES; i++)
      f[p][i] = is_turned ? load(filters + ((c + i) * 9 + 8 - p) * to + k)
                          : masked_load(filters + ((k + i) * 9 + p) * from + c, mask);
    if (!is_turned) transpose(f[p]);
  }
}

// G filter Gᵀ; as the right factors of COLUMNS answers, of each place, of pairs of `from`.
void transform_filters(long from, long to, const float* filters, bool is_turned,
                       bfloat16* transformed) {
  for (long k = 0; k < to; k += COLUMNS) {
    const long columns = std::min(COLUMNS, to - k);
    for (long l = 0; l < columns; l += LANES)
      for (long c = 0; c < from; c += LANES) {
        Filters f;
        load_filters(filters, from, to, is_turned, c, k + l, f);
        for (long i = 0; i < std::min(LANES, from - c); i += 2) {
          Window even, odd;
          transform_filter(f, i, even), transform_filter(f, i + 1, odd);
          for (long p = 0; p < PLACES; p++) {
            bfloat16* at = transformed + (PLACES * k + p * columns) * from;
            _mm512_storeu_si512(at + (c + i) * columns + 2 * l,
                                paired(even[p / 4][p % 4], odd[p / 4][p % 4]));
          }
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

void forward(Shape s, const bfloat16* x, const bfloat16* filters, bfloat16* y, int threads) {
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
                                     (__m256i)rounded(d[p / 4][p % 4]));
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
            answers.store_all(tile, k + c, y);
          }
        }
      }
    }
  }
}

void filter_gradient(Shape s, const bfloat16* x, const bfloat16* dy, float* gradient,
                     int threads) {
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
          const Gradients from[] = {{even, dy, zeros.data()}, {odd, dy, zeros.data()}};
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
#pragma omp for collapse(2) schedule(static)
    for (long c = 0; c < s.from; c += LANES)
      for (long k = 0; k < s.to; k += LANES) {
        Filters f = {};
        for (long i = 0; i < std::min(LANES, s.from - c); i++) {
          Window d = {};
          for (const std::unique_ptr<float[]>& part : parts)
            for (long p = 0; p < PLACES && part; p++)
              d[p / 4][p % 4] += load(&part[(p * s.from + c + i) * s.to + k]);
          transform_back(d, f, i);
        }
        for (long p = 0; p < 9; p++) {
          transpose(f[p]);
          for (long i = 0; i < LANES; i++)
            _mm512_mask_storeu_ps(gradient + ((k + i) * 9 + p) * s.from + c,
                                  first_lanes(s.from - c), (__m512)f[p][i]);
        }
      }
  }
}

// As `Convolution` in calls.py. Filters lie as `num_out`, pixels and `num_in`; or, to be turned by
// half a turn, as `num_in`, pixels and `num_out`. `filters` are transformed ones.
struct Call {
  long images, height, width, num_in, num_out;
  int is_turned, threads;
  void* x;
  float* weight;
  void *filters, *y, *dy;
  float* dweight;

  Shape shape() const { return {images, height, width, num_in, num_out}; }
};

}  // namespace

extern "C" {

// Writes `filters`.
void winograd_filters(const Call* call) {
  transform_filters(call->num_in, call->num_out, call->weight, call->is_turned,
                    (bfloat16*)call->filters);
}

// Writes `y`, maps of the size of x.
void winograd_forward(const Call* call) {
  forward(call->shape(), (bfloat16*)call->x, (bfloat16*)call->filters, (bfloat16*)call->y,
          call->threads);
}

// Writes `dweight`, of filters that lie as `num_out`, pixels and `num_in`.
void winograd_filter_gradient(const Call* call) {
  filter_gradient(call->shape(), (bfloat16*)call->x, (bfloat16*)call->dy, call->dweight,
                  call->threads);
}
}
#endif
