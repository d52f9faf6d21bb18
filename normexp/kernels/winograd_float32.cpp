// 3×3 convolutions of float32 images in channels last with a border of one zero: forward, and the
// gradient of the filters. The gradient of the images is the forward of the turned filters.
//
// By Winograd's F(4×4, 3×3) a tile of 4×4 answers needs 36 products for a pair of channels, not 144;
// in the matrices of Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2015,
// arXiv:1509.09308, whose window is the 6×6 pixels that a tile looks at,
//
//   answers = Aᵀ [(G filter Gᵀ) ⊙ (Bᵀ window B)] A
//   gradient of the filter = Gᵀ [(Bᵀ window B) ⊙ (A gradient of the answers Aᵀ)] G
//
// The products are summed over channels, or over tiles, by 36 products of matrices, one for each
// place of the window. Each sum is one thread's and taken in the same order whatever their number,
// so the bits do not depend on it.

#include <vector>

#include "winograd_float32.h"

namespace {

// Tiles at a time of the gradient of the filters: as many as hide that threads wait for each other.
// Where there are no more, the filters, four times as large when transformed, are what takes time:
// each thread makes a panel of them, and uses it while its cache has it.
constexpr long TILES = 64;

// As `Convolution` in calls.py. Filters lie as `num_out`, pixels and `num_in`; or, to be turned by
// half a turn, as `num_in`, pixels and `num_out`.
struct Call {
  long images, height, width, num_in, num_out;
  int is_turned, threads;
  float* x;
  float* weight;
  void* filters;  // not used
  float *y, *dy, *dweight;

  Shape shape() const { return {images, height, width, num_in, num_out}; }
};

// Bᵀ window B of a tile, as a row of panels.
void transform_window(const Shape& s, const Window& window, const float* x, const float* zeros,
                      const Panels& windows, long row) {
  const float* at[WINDOW][WINDOW];
  for (long i = 0; i < WINDOW; i++)
    for (long j = 0; j < WINDOW; j++)
      at[i][j] = window.at[i][j] < 0 ? zeros : x + window.at[i][j] * s.from;
  for (long c = 0; c < s.from; c += WIDTH) {
    float* to = windows.at(c / LANES, 0, row) + c % LANES;
    transform<WINDOW, WINDOW>(
        [&](long i, long j) { return load(at[i][j] + c); }, times_b_turned,
        [&](long i, long j, Vector v) { store(to + (i * WINDOW + j) * windows.place, v); });
  }
}

// A gradient Aᵀ of a tile, as a row of panels.
void transform_gradient(const Shape& s, const Window& window, const float* dy,
                        const Panels& gradients, long row) {
  for (long k = 0; k < s.to; k += WIDTH) {
    float* to = gradients.at(k / LANES, 0, row) + k % LANES;
    transform<TILE, WINDOW>(
        [&](long i, long j) {
          const long pixel = window.inner(i, j);
          return pixel < 0 ? Vector{} : load(dy + pixel * s.to + k);
        },
        times_a,
        [&](long i, long j, Vector v) { store(to + (i * WINDOW + j) * gradients.place, v); });
  }
}

// Aᵀ sums A: the answers of a tile in LANES channels, from a row of a panel.
void transform_sums(const Shape& s, const Window& window, const Panels& sums, long row,
                    float* y) {
  for (long l = 0; l < LANES; l += WIDTH) {
    const float* from = sums.at(0, 0, row) + l;
    transform<WINDOW, TILE>(
        [&](long i, long j) { return load(from + (i * WINDOW + j) * sums.place); },
        times_a_turned,
        [&](long i, long j, Vector v) {
          if (window.inner(i, j) >= 0) store(y + window.inner(i, j) * s.to + l, v);
        });
  }
}

// LANES × LANES filters: of each of 9 pixels, of each channel `from`, the lanes are those `to`.
typedef float Filters[9][LANES][LANES];

// G filter Gᵀ of LANES channels from c and to k, as rows of `panel`.
void transform_filters(const Call& call, long c, long k, const Panels& filters, long panel) {
  const Call at = call;  // which no store can change
  Filters f;
  for (long p = 0; p < 9; p++)
    for (long i = 0; i < LANES; i++)
      for (long l = 0; l < LANES; l++)
        if (at.is_turned)
          f[p][i][l] = at.weight[((c + i) * 9 + 8 - p) * at.num_out + k + l];
        else
          f[p][l][i] = at.weight[((k + i) * 9 + p) * at.num_in + c + l];
  for (long i = 0; i < LANES; i++)
    for (long l = 0; l < LANES; l += WIDTH) {
      float* to = filters.at(panel, 0, c + i) + l;
      transform<3, WINDOW>(
          [&](long a, long b) { return load(&f[a * 3 + b][i][l]); }, times_g,
          [&](long a, long b, Vector v) { store(to + (a * WINDOW + b) * filters.place, v); });
    }
}

// Gᵀ sums G: the gradient of LANES channels from c and to k, from rows of `panel`.
void transform_back(const Call& call, long c, long k, const Panels& sums, long panel) {
  Filters f;
  for (long i = 0; i < LANES; i++)
    for (long l = 0; l < LANES; l += WIDTH) {
      const float* from = sums.at(panel, 0, c + i) + l;
      transform<WINDOW, 3>(
          [&](long a, long b) { return load(from + (a * WINDOW + b) * sums.place); },
          times_g_turned, [&](long a, long b, Vector v) { store(&f[a * 3 + b][i][l], v); });
    }
  for (long i = 0; i < LANES; i++)
    for (long p = 0; p < 9; p++)
      for (long l = 0; l < LANES; l++)
        call.dweight[((k + i) * 9 + p) * call.num_in + c + l] = f[p][l][i];
}

// The answers of `count` tiles in the channels of panel k, from rows 0 on of their windows and from
// the `panel` of filters.
void answer_tiles(const Call& call, const Window* window, const Panels& windows, long count,
                  const Panels& filters, long panel, const Panels& sums, long k) {
  const Shape s = call.shape();
  for (long p = 0; p < PLACES; p++)
    multiply_rows(count, Left<LANES, 1>{windows.at(0, p), windows.size}, filters.at(panel, p),
                  s.from, sums.at(0, p));
  for (long t = 0; t < count; t++) transform_sums(s, window[t], sums, t, call.y + k * LANES);
}

// Few tiles: their windows are transformed once, for all, and a panel of filters by who needs it.
void forward_few(const Call& call) {
  const Shape s = call.shape();
  const std::vector<float> zeros(s.from);
  const long tiles = s.tiles();
  const Panels windows(s.from / LANES, tiles);
  std::vector<Window> window(tiles);
#pragma omp parallel num_threads(call.threads)
  {
#pragma omp for schedule(static)
    for (long t = 0; t < tiles; t++) {
      window[t] = Window(s, t);
      transform_window(s, window[t], call.x, zeros.data(), windows, t);
    }
    const Panels filters(1, s.from), sums(1, tiles);
#pragma omp for schedule(static)
    for (long k = 0; k < s.to / LANES; k++) {
      for (long c = 0; c < s.from; c += LANES) transform_filters(call, c, k * LANES, filters, 0);
      answer_tiles(call, window.data(), windows, tiles, filters, 0, sums, k);
    }
  }
}

// Many tiles: the filters are transformed once, for all, and a block of windows by who needs it.
void forward_many(const Call& call) {
  const Shape s = call.shape();
  const std::vector<float> zeros(s.from);
  const long tiles = s.tiles(), blocks = (tiles + ROWS - 1) / ROWS, panels = s.to / LANES;
  const Panels filters(panels, s.from);
  // Where blocks are few, threads share one; then each transforms its windows.
  const long shares = blocks >= 4 * call.threads ? 1 : std::min<long>(panels, call.threads);
#pragma omp parallel num_threads(call.threads)
  {
#pragma omp for collapse(2) schedule(static)
    for (long k = 0; k < s.to; k += LANES)
      for (long c = 0; c < s.from; c += LANES) transform_filters(call, c, k, filters, k / LANES);
    const Panels windows(s.from / LANES, ROWS), sums(1, ROWS);
    Window window[ROWS];
#pragma omp for schedule(dynamic)
    for (long item = 0; item < blocks * shares; item++) {
      const long first = item / shares * ROWS, count = std::min(ROWS, tiles - first);
      const long share = item % shares;
      for (long t = 0; t < count; t++) {
        window[t] = Window(s, first + t);
        transform_window(s, window[t], call.x, zeros.data(), windows, t);
      }
      for (long k = panels * share / shares; k < panels * (share + 1) / shares; k++)
        answer_tiles(call, window, windows, count, filters, k, sums, k);
    }
  }
}

void filter_gradient(const Call& call) {
  const Shape s = call.shape();
  const std::vector<float> zeros(s.from);
  const long tiles = s.tiles(), panels_in = s.from / LANES, panels_out = s.to / LANES;
  const bool few = tiles <= TILES;
  const Panels windows(panels_in, TILES), gradients(panels_out, TILES);
  const Panels shared(few ? 0 : panels_out, s.from);
#pragma omp parallel num_threads(call.threads)
  {
    const auto multiply = [&](long p, long k, long count, const Panels& sums, long panel,
                              bool is_added) {
      for (long c = 0; c < panels_in; c++)
        multiply_rows(LANES, Left<1, LANES>{windows.at(c, p), LANES * LANES}, gradients.at(k, p),
                      count, sums.at(panel, p, c * LANES), is_added);
    };
    for (long first = 0; first < tiles; first += TILES) {
      const long count = std::min(TILES, tiles - first);
#pragma omp for schedule(static)
      for (long t = 0; t < count; t++) {
        const Window window(s, first + t);
        transform_window(s, window, call.x, zeros.data(), windows, t);
        transform_gradient(s, window, call.dy, gradients, t);
      }
      if (few) break;
#pragma omp for collapse(2) schedule(static)
      for (long p = 0; p < PLACES; p++)
        for (long k = 0; k < panels_out; k++) multiply(p, k, count, shared, k, first > 0);
    }
    if (few) {
      const Panels sums(1, s.from);
#pragma omp for schedule(static)
      for (long k = 0; k < panels_out; k++) {
        for (long p = 0; p < PLACES; p++) multiply(p, k, tiles, sums, 0, false);
        for (long c = 0; c < s.from; c += LANES) transform_back(call, c, k * LANES, sums, 0);
      }
    } else {
#pragma omp for collapse(2) schedule(static)
      for (long k = 0; k < s.to; k += LANES)
        for (long c = 0; c < s.from; c += LANES) transform_back(call, c, k, shared, k / LANES);
    }
  }
}

}  // namespace

extern "C" {

// Writes `y`, maps of the size of x.
void winograd_float32_forward(const Call* call) {
  call->shape().tiles() <= TILES ? forward_few(*call) : forward_many(*call);
}

// Writes `dweight`, of filters that lie as `num_out`, pixels and `num_in`.
void winograd_float32_filter_gradient(const Call* call) { filter_gradient(*call); }
}
