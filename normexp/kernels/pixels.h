// What a norm does at each pixel of an image, pixels × channels.

#pragma once

#include <type_traits>

#include "vectors.h"

namespace {

// What becomes of the norm: a shortcut is added before a ReLU only.
enum After { STAYS, RELU, SHORTCUT_RELU };

// Channels in blocks whose sums stay in registers; `body(block, vectors)` gets the first channel
// and how many vectors. Channels are a multiple of LANES.
template <class Body>
inline void in_blocks(long channels, Body body) {
  constexpr int LEAST = LANES / WIDTH;
  long c = 0;
  for (; c + 4 * WIDTH <= channels; c += 4 * WIDTH) body(c, std::integral_constant<int, 4>());
  for (; c < channels; c += LANES) body(c, std::integral_constant<int, LEAST>());
}

template <int V, class T>
inline void load_vectors(const T* from, Floats (&to)[V]) {
  for (int v = 0; v < V; v++) to[v] = load(from + v * WIDTH);
}

// Where the mean is further from the pivot than 45 standard deviations, which costs digits of the
// variance. Of up to 2,048 pixels none is (Samuelson's inequality). A square here would be shared
// with the variance's, which then is no fused multiply-add, and has other bits.
inline auto is_far(Floats offset, Floats variance) { return offset / 2048 * offset > variance; }

// Mean and biased variance of each channel of one image, by sums about its first pixel; where that
// is unlike the others, by sums about the mean that these give.
template <class T>
void moments(const T* x, long pixels, long channels, float* mean, float* variance) {
  in_blocks(channels, [=](long c, auto vectors) {
    constexpr int V = decltype(vectors)::value;
    Floats pivot[V], offset[V], var[V];
    load_vectors(x + c, pivot);
    auto about_pivot = [&] {
      Floats sum[V] = {}, squares[V] = {};
      for (long p = 0; p < pixels; p++)
        for (int v = 0; v < V; v++) {
          Floats d = load(x + p * channels + c + v * WIDTH) - pivot[v];
          sum[v] += d;
          squares[v] += d * d;
        }
      decltype(is_far(pivot[0], pivot[0])) far = {};
      for (int v = 0; v < V; v++) {
        offset[v] = sum[v] / (float)pixels;
        var[v] = squares[v] / (float)pixels - offset[v] * offset[v];
        far |= is_far(offset[v], var[v]);
      }
      int any = 0;
      for (int lane = 0; lane < WIDTH; lane++) any |= far[lane];
      return any != 0;
    };
    if (about_pivot()) {
      for (int v = 0; v < V; v++) pivot[v] += offset[v];
      about_pivot();
    }
    for (int v = 0; v < V; v++) {
      Floats zero = {};
      store(mean + c + v * WIDTH, pivot[v] + offset[v]);
      store(variance + c + v * WIDTH, var[v] < zero ? zero : var[v]);
    }
  });
}

// max(x, 0); a NaN stays one.
inline Floats rectified(Floats x) {
  Floats zero = {};
  return x < zero ? zero : x;
}

// y = scale·(x − centre) + shift and what comes after it. The sum with the shortcut is of y as it
// would be stored, so that the bits are those of a norm and an addition apart.
template <After after, class T>
void apply(const T* x, const T* shortcut, T* y, long pixels, long channels, const float* centre,
           const float* scale, const float* shift) {
  in_blocks(channels, [=](long c, auto vectors) {
    constexpr int V = decltype(vectors)::value;
    Floats m[V], a[V], b[V];
    load_vectors(centre + c, m), load_vectors(scale + c, a), load_vectors(shift + c, b);
    for (long p = 0; p < pixels; p++)
      for (int v = 0; v < V; v++) {
        long i = p * channels + c + v * WIDTH;
        Floats normed = a[v] * (load(x + i) - m[v]) + b[v];
        if (after == SHORTCUT_RELU) {
          store(y + i, normed);
          normed = load(y + i) + load(shortcut + i);
        }
        store(y + i, after == STAYS ? normed : rectified(normed));
      }
  });
}

// What of the gradient g passes the ReLU of y.
inline Floats passed(Floats g, Floats y) {
  Floats zero = {};
  return y > zero ? g : zero;
}

// Σ dy and Σ dy·(x − centre) over the pixels, dy behind the ReLU of scale·(x − centre) + shift, or
// of y, to which a shortcut was added: its gradient is kept in `dshortcut`.
template <After after, class T>
void reduce(const T* dy, const T* x, const T* y, T* dshortcut, long pixels, long channels,
            const float* centre, const float* scale, const float* shift, float* sum,
            float* product) {
  in_blocks(channels, [=](long c, auto vectors) {
    constexpr int V = decltype(vectors)::value;
    Floats m[V], a[V] = {}, b[V] = {}, s[V] = {}, q[V] = {};
    load_vectors(centre + c, m);
    if (after == RELU) load_vectors(scale + c, a), load_vectors(shift + c, b);
    for (long p = 0; p < pixels; p++)
      for (int v = 0; v < V; v++) {
        long i = p * channels + c + v * WIDTH;
        Floats d = load(x + i) - m[v], g = load(dy + i);
        if (after == RELU) g = passed(g, a[v] * d + b[v]);
        if (after == SHORTCUT_RELU) {
          g = passed(g, load(y + i));
          store(dshortcut + i, g);
        }
        s[v] += g;
        q[v] += g * d;
      }
    for (int v = 0; v < V; v++) {
      store(sum + c + v * WIDTH, s[v]);
      store(product + c + v * WIDTH, q[v]);
    }
  });
}

// dx = k·dy + slope·(x − centre) + offset, dy behind the ReLU of scale·(x − centre) + shift.
template <After after, class T>
void apply_gradient(const T* dy, const T* x, T* dx, long pixels, long channels,
                    const float* centre, const float* scale, const float* shift, const float* k,
                    const float* slope, const float* offset) {
  in_blocks(channels, [=](long c, auto vectors) {
    constexpr int V = decltype(vectors)::value;
    Floats m[V], a[V] = {}, b[V] = {}, f[V], p1[V], o[V];
    load_vectors(centre + c, m), load_vectors(k + c, f);
    load_vectors(slope + c, p1), load_vectors(offset + c, o);
    if (after == RELU) load_vectors(scale + c, a), load_vectors(shift + c, b);
    for (long p = 0; p < pixels; p++)
      for (int v = 0; v < V; v++) {
        long i = p * channels + c + v * WIDTH;
        Floats d = load(x + i) - m[v], g = load(dy + i);
        if (after == RELU) g = passed(g, a[v] * d + b[v]);
        store(dx + i, f[v] * g + p1[v] * d + o[v]);
      }
  });
}

}  // namespace
