// 3×3 convolutions of float32 images in channels last with a border of one zero: forward, and the
// gradient of the filters. The gradient of the images is the forward of the turned filters.
//
// By Winograd's F(T×T, 3×3) a tile of T×T answers needs (T+2)² products for a pair of channels, not
// 9·T²: in the matrices of Lavin and Gray, arXiv:1509.09308, whose window is what a tile looks at,
//
//   answers = Aᵀ [(G filter Gᵀ) ⊙ (Bᵀ window B)] A
//   gradient of the filter = Gᵀ [(Bᵀ window B) ⊙ (A gradient of the answers Aᵀ)] G
//
// Every sum is taken in an order that depends on the shape alone, not on the threads.

#include <algorithm>
#include <memory>
#include <vector>

#include "winograd_transforms.h"

namespace {

constexpr long LANES = 16;  // channels of a panel
constexpr long ROWS = WIDE == 16 ? 16 : 6, SPLIT = LANES / WIDE;

// Images of `from` channels become maps of `to` channels.
struct Shape {
  long images, height, width, from, to;
};

// As `Convolution` in calls.py. Filters lie as `num_out`, pixels and `num_in`; or, to be turned by
// half a turn, as `num_in`, pixels and `num_out`.
struct Call {
  long images, height, width, num_in, num_out;
  int is_turned, threads;
  float *x, *weight, *filters, *y, *dy, *dweight;

  Shape shape() const { return {images, height, width, num_in, num_out}; }
};

template <class F>
struct Tiles {
  static constexpr long PLACES = F::WINDOW * F::WINDOW;
  Shape s;
  long down, across, count;

  explicit Tiles(Shape s)
      : s(s), down((s.height + F::TILE - 1) / F::TILE), across((s.width + F::TILE - 1) / F::TILE),
        count(s.images * down * across) {}

  // The pixels of a tile, SIZE × SIZE from `border` above and left of it; −1 outside of the image.
  template <long SIZE>
  void pixels(long tile, long border, long (&at)[SIZE][SIZE]) const {
    const long image = tile / (down * across);
    const long top = tile / across % down * F::TILE - border, left = tile % across * F::TILE - border;
    for (long i = 0; i < SIZE; i++)
      for (long j = 0; j < SIZE; j++) {
        const long row = top + i, column = left + j;
        const bool inside = row >= 0 && row < s.height && column >= 0 && column < s.width;
        at[i][j] = inside ? (image * s.height + row) * s.width + column : -1;
      }
  }
};

// Floats from one place's matrix to the next: they lie in different sets of the first cache.
constexpr long apart(long floats) { return (floats + 1023) / 1024 * 1024 + 16; }

// Not set to zero, which takes time where batches are small.
std::unique_ptr<float[]> room(long size) { return std::unique_ptr<float[]>(new float[size]); }

// `rows` rows of a, times b (steps × LANES), into `sums` (rows × LANES) or added to them.
// An element of a lies at row·ROW + step, where every LANES steps are `jump` apart; STEP is between.
template <long COUNT, long ROW, long STEP>
inline void multiply(const float* a, long jump, const float* b, long steps, float* sums,
                     bool is_added) {
  Vector sum[COUNT][SPLIT] = {};
  for (; steps > 0; steps -= LANES, a += jump) {
    const long some = std::min(steps, LANES);
    for (long i = 0; i < some; i++, b += LANES) {
      Vector right[SPLIT];
#pragma GCC unroll 4
      for (long v = 0; v < SPLIT; v++) right[v] = load(b + v * WIDE);
#pragma GCC unroll 16
      for (long r = 0; r < COUNT; r++)
#pragma GCC unroll 4
        for (long v = 0; v < SPLIT; v++) sum[r][v] += a[r * ROW + i * STEP] * right[v];
    }
  }
#pragma GCC unroll 16
  for (long r = 0; r < COUNT; r++)
#pragma GCC unroll 4
    for (long v = 0; v < SPLIT; v++) {
      float* to = sums + r * LANES + v * WIDE;
      store(to, is_added ? load(to) + sum[r][v] : sum[r][v]);
    }
}

template <long ROW, long STEP, long COUNT = ROWS>
inline void multiply_rows(long rows, const float* a, long jump, const float* b, long steps,
                          float* sums, bool is_added) {
  for (; rows >= COUNT; rows -= COUNT, a += COUNT * ROW, sums += COUNT * LANES)
    multiply<COUNT, ROW, STEP>(a, jump, b, steps, sums, is_added);
  if constexpr (COUNT > 1)
    if (rows > 0) multiply_rows<ROW, STEP, COUNT - 1>(rows, a, jump, b, steps, sums, is_added);
}

// Bᵀ window B of tiles from `first`: at each place, panels of channels, tiles, LANES.
template <class F>
void transform_windows(const Tiles<F>& tiles, const float* x, const float* zeros, long channels,
                       long first, long begin, long end, long size, float* to, long place) {
  for (long t = begin; t < end; t++) {
    long pixel[F::WINDOW][F::WINDOW];
    tiles.template pixels<F::WINDOW>(first + t, 1, pixel);
    const float* at[F::WINDOW][F::WINDOW];
    for (long i = 0; i < F::WINDOW; i++)
      for (long j = 0; j < F::WINDOW; j++)
        at[i][j] = pixel[i][j] < 0 ? zeros : x + pixel[i][j] * channels;
    for (long c = 0; c < channels; c += WIDE) {
      float* out = to + (c / LANES * size + t) * LANES + c % LANES;
      in_both<F::WINDOW, F::WINDOW>(
          [&](long i, long j) { return load(at[i][j] + c); }, F::times_b_turned,
          [&](long i, long j, Vector v) { store(out + (i * F::WINDOW + j) * place, v); });
    }
  }
}

// A gradient Aᵀ of tiles, as `transform_windows`.
template <class F>
void transform_gradients(const Tiles<F>& tiles, const float* dy, const float* zeros, long channels,
                         long first, long begin, long end, long size, float* to, long place) {
  for (long t = begin; t < end; t++) {
    long pixel[F::TILE][F::TILE];
    tiles.template pixels<F::TILE>(first + t, 0, pixel);
    for (long c = 0; c < channels; c += WIDE) {
      float* out = to + (c / LANES * size + t) * LANES + c % LANES;
      in_both<F::TILE, F::WINDOW>(
          [&](long i, long j) {
            return load(pixel[i][j] < 0 ? zeros : dy + pixel[i][j] * channels + c);
          },
          F::times_a,
          [&](long i, long j, Vector v) { store(out + (i * F::WINDOW + j) * place, v); });
    }
  }
}

// LANES × LANES filters: of each of 9 pixels, of each channel `from`, the lanes are those `to`.
typedef float Filters[9][LANES][LANES];

// G filter Gᵀ: of panels `to`, at each place, of channels `from`.
template <class F>
void transform_filters(Shape s, const float* weight, bool is_turned, float* filters) {
#pragma omp for collapse(2) schedule(static)
  for (long k = 0; k < s.to; k += LANES)
    for (long c = 0; c < s.from; c += LANES) {
      Filters f;
      for (long p = 0; p < 9; p++)
        for (long i = 0; i < LANES; i++)
          for (long l = 0; l < LANES; l++)
            if (is_turned)
              f[p][i][l] = weight[((c + i) * 9 + 8 - p) * s.to + k + l];
            else
              f[p][l][i] = weight[((k + i) * 9 + p) * s.from + c + l];
      for (long i = 0; i < LANES; i++)
        for (long l = 0; l < LANES; l += WIDE)
          in_both<3, F::WINDOW>(
              [&](long a, long b) { return load(&f[a * 3 + b][i][l]); }, F::times_g,
              [&](long a, long b, Vector v) {
                const long place = a * F::WINDOW + b;
                store(filters + ((k / LANES * F::WINDOW * F::WINDOW + place) * s.from + c + i) * LANES + l, v);
              });
    }
}

#ifndef FORWARD_FLOATS
#define FORWARD_FLOATS 65536
#endif
#ifndef CHUNK
#define CHUNK 64
#endif

template <class F>
void forward(const Call& call) {
  const Tiles<F> tiles(call.shape());
  const Shape s = tiles.s;
  constexpr long PLACES = Tiles<F>::PLACES;
  const auto filters = room(PLACES * s.from * s.to);
  const std::vector<float> zeros(s.from);
  const long most = std::max(ROWS, FORWARD_FLOATS / (PLACES * (s.from + LANES)) / ROWS * ROWS);
  const long panels = s.to / LANES;
  const long size = std::min(most, tiles.count), blocks = (tiles.count + size - 1) / size;
  const long groups = blocks >= 4 * call.threads ? 1 : std::min<long>(panels, call.threads);
  const long window = apart(size * s.from), sum = apart(size * LANES);
#pragma omp parallel num_threads(call.threads)
  {
    transform_filters<F>(s, call.weight, call.is_turned, filters.get());
    const auto windows = room(PLACES * window), sums = room(PLACES * sum);
#pragma omp for schedule(dynamic)
    for (long item = 0; item < blocks * groups; item++) {
      const long first = item / groups * size, count = std::min(size, tiles.count - first);
      transform_windows(tiles, call.x, zeros.data(), s.from, first, 0, count, size, windows.get(),
                        window);
      const long group = item % groups;
      for (long k = panels * group / groups; k < panels * (group + 1) / groups; k++) {
        for (long p = 0; p < PLACES; p++)
          multiply_rows<LANES, 1>(count, &windows[p * window], size * LANES,
                                  &filters[(k * PLACES + p) * s.from * LANES], s.from,
                                  &sums[p * sum], false);
        for (long t = 0; t < count; t++) {
          long pixel[F::TILE][F::TILE];
          tiles.template pixels<F::TILE>(first + t, 0, pixel);
          for (long l = 0; l < LANES; l += WIDE)
            in_both<F::WINDOW, F::TILE>(
                [&](long i, long j) {
                  return load(&sums[(i * F::WINDOW + j) * sum + t * LANES + l]);
                },
                F::times_a_turned,
                [&](long i, long j, Vector v) {
                  if (pixel[i][j] >= 0) store(call.y + pixel[i][j] * s.to + k * LANES + l, v);
                });
        }
      }
    }
  }
}

template <class F>
void filter_gradient(const Call& call) {
  const Tiles<F> tiles(call.shape());
  const Shape s = tiles.s;
  constexpr long PLACES = Tiles<F>::PLACES;
  const std::vector<float> zeros(std::max(s.from, s.to));
  const long size = std::min<long>(CHUNK, tiles.count);
  const long window = apart(size * s.from), gradient = apart(size * s.to);
  const auto windows = room(PLACES * window), gradients = room(PLACES * gradient);
  const auto sums = room(PLACES * s.from * s.to);
  const long panels = s.to / LANES;
#pragma omp parallel num_threads(call.threads)
  {
    for (long first = 0; first < tiles.count; first += size) {
      const long count = std::min(size, tiles.count - first);
#pragma omp for schedule(static)
      for (long t = 0; t < count; t++) {
        transform_windows(tiles, call.x, zeros.data(), s.from, first, t, t + 1, size,
                          windows.get(), window);
        transform_gradients(tiles, call.dy, zeros.data(), s.to, first, t, t + 1, size,
                            gradients.get(), gradient);
      }
#pragma omp for schedule(static)
      for (long item = 0; item < PLACES * panels; item++) {
        const long p = item / panels, k = item % panels;
        for (long c = 0; c < s.from; c += LANES)
          multiply_rows<1, LANES>(LANES, &windows[p * window + c * size], LANES * LANES,
                                  &gradients[p * gradient + k * size * LANES], count,
                                  &sums[(item * s.from + c) * LANES], first > 0);
      }
    }
#pragma omp for collapse(2) schedule(static)
    for (long k = 0; k < s.to; k += LANES)
      for (long c = 0; c < s.from; c += LANES) {
        Filters f;
        for (long i = 0; i < LANES; i++)
          for (long l = 0; l < LANES; l += WIDE)
            in_both<F::WINDOW, 3>(
                [&](long a, long b) {
                  const long place = a * F::WINDOW + b;
                  return load(&sums[((place * panels + k / LANES) * s.from + c + i) * LANES + l]);
                },
                F::times_g_turned,
                [&](long a, long b, Vector v) { store(&f[a * 3 + b][i][l], v); });
        for (long i = 0; i < LANES; i++)
          for (long p = 0; p < 9; p++)
            for (long l = 0; l < LANES; l++)
              call.dweight[((k + i) * 9 + p) * s.from + c + l] = f[p][l][i];
      }
  }
}

}  // namespace

extern "C" {

void winograd4_forward(const Call* call) { forward<F4>(*call); }
void winograd2_forward(const Call* call) { forward<F2>(*call); }
void winograd4_filter_gradient(const Call* call) { filter_gradient<F4>(*call); }
void winograd2_filter_gradient(const Call* call) { filter_gradient<F2>(*call); }
}
