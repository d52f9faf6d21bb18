// Batch, instance, group and gated norm in one: forward and backward of
//
//   y = weight·(gate·BN(x) + (1 − gate)·GN(x)) + bias, or relu(y), or relu(y + shortcut),
//
// for images of N × pixels × channels (channels last), in training. Without `batch` the gate is 0;
// without a gate beside `batch` it is 1. GN with as many groups as channels is instance norm.
//
// Statistics and sums are float32 or wider whatever the type of x. Everything is centred on each
// image's own channel means, so a large mean costs no digits. An image's sums are one thread's, and
// sums over images are taken in order, so the bits do not depend on the number of threads.

#include <cmath>
#include <cstring>
#include <type_traits>
#include <vector>
#if defined(__AVX512BF16__)
#include <immintrin.h>
#endif

#include "vectors.h"

namespace {

// What becomes of the norm: a shortcut is added before a ReLU only.
enum After { STAYS, RELU, SHORTCUT_RELU };

After after_norm(int relu, const void* shortcut) {
  return !relu ? STAYS : shortcut ? SHORTCUT_RELU : RELU;
}

template <class T>
inline Floats load(const T* from) {
  return as_floats(bits(from));
}

inline void store(float* to, Floats x) { std::memcpy(to, &x, sizeof x); }

// To the nearest, ties to even; a NaN stays one.
inline void store(bfloat16* to, Floats x) {
#if defined(__AVX512BF16__)
  __m256bh high = _mm512_cvtneps_pbh((__m512)x);
#else
  Words bits;
  std::memcpy(&bits, &x, sizeof bits);
  Words rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  Words quiet = (bits >> 16) | 0x40;
  Words is_nan = (Words)(x != x);
  Halves high = __builtin_convertvector((is_nan & quiet) | (~is_nan & rounded), Halves);
#endif
  std::memcpy(to, &high, sizeof high);
}

// Channels in blocks whose sums stay in registers; `body(block, vectors)` gets the first channel
// and how many vectors of LANES. Channels are a multiple of LANES.
template <class Body>
inline void in_blocks(long channels, Body body) {
  long c = 0;
  for (; c + 4 * LANES <= channels; c += 4 * LANES) body(c, std::integral_constant<int, 4>());
  for (; c < channels; c += LANES) body(c, std::integral_constant<int, 1>());
}

// Mean and biased variance of each channel of one image.
template <class T>
void moments(const T* x, long pixels, long channels, float* mean, float* variance) {
  in_blocks(channels, [=](long c, auto vectors) {
    constexpr int V = decltype(vectors)::value;
    Floats first[V], sum[V] = {}, squares[V] = {};
    for (int v = 0; v < V; v++) first[v] = load(x + c + v * LANES);
    for (long p = 0; p < pixels; p++)
      for (int v = 0; v < V; v++) {
        Floats d = load(x + p * channels + c + v * LANES) - first[v];
        sum[v] += d;
        squares[v] += d * d;
      }
    for (int v = 0; v < V; v++) {
      Floats m = sum[v] / (float)pixels;
      Floats var = squares[v] / (float)pixels - m * m;
      Floats zero = {};
      store(mean + c + v * LANES, first[v] + m);
      store(variance + c + v * LANES, var < zero ? zero : var);
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
    for (int v = 0; v < V; v++) {
      m[v] = load(centre + c + v * LANES);
      a[v] = load(scale + c + v * LANES);
      b[v] = load(shift + c + v * LANES);
    }
    for (long p = 0; p < pixels; p++)
      for (int v = 0; v < V; v++) {
        long i = p * channels + c + v * LANES;
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
    for (int v = 0; v < V; v++) {
      m[v] = load(centre + c + v * LANES);
      if (after == RELU) a[v] = load(scale + c + v * LANES), b[v] = load(shift + c + v * LANES);
    }
    for (long p = 0; p < pixels; p++)
      for (int v = 0; v < V; v++) {
        long i = p * channels + c + v * LANES;
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
      store(sum + c + v * LANES, s[v]);
      store(product + c + v * LANES, q[v]);
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
    for (int v = 0; v < V; v++) {
      m[v] = load(centre + c + v * LANES);
      if (after == RELU) a[v] = load(scale + c + v * LANES), b[v] = load(shift + c + v * LANES);
      f[v] = load(k + c + v * LANES);
      p1[v] = load(slope + c + v * LANES);
      o[v] = load(offset + c + v * LANES);
    }
    for (long p = 0; p < pixels; p++)
      for (int v = 0; v < V; v++) {
        long i = p * channels + c + v * LANES;
        Floats d = load(x + i) - m[v], g = load(dy + i);
        if (after == RELU) g = passed(g, a[v] * d + b[v]);
        store(dx + i, f[v] * g + p1[v] * d + o[v]);
      }
  });
}

struct Shape {
  long images, pixels, channels, groups;
};

// One image of all, which may be null.
template <class T>
T* image(T* all, Shape s, long n) {
  return all ? all + n * s.pixels * s.channels : nullptr;
}

// `per_channel` becomes, at each channel, its sum over the channels of its group.
void sum_over_groups(Shape s, float* per_channel) {
  long width = s.channels / s.groups;
  if (width == 1) return;
  for (long g = 0; g < s.groups; g++) {
    double sum = 0;
    for (long c = g * width; c < (g + 1) * width; c++) sum += per_channel[c];
    for (long c = g * width; c < (g + 1) * width; c++) per_channel[c] = (float)sum;
  }
}

// What forward leaves for backward, (images, channels) each and (channels) for the batch.
struct Saved {
  float *mean, *group_mean, *group_rstd, *batch_mean, *batch_rstd;
  Saved(float* at, Shape s) {
    long size = s.images * s.channels;
    mean = at;
    group_mean = mean + size;
    group_rstd = group_mean + size;
    batch_mean = group_rstd + size;
    batch_rstd = batch_mean + s.channels;
  }
};

void group_statistics(Shape s, const float* mean, const float* variance, float eps,
                      float* group_mean, float* group_rstd) {
  float share = (float)s.groups / (float)s.channels;
  std::memcpy(group_mean, mean, s.channels * sizeof(float));
  sum_over_groups(s, group_mean);
  for (long c = 0; c < s.channels; c++) {
    group_mean[c] *= share;
    float off = mean[c] - group_mean[c];
    group_rstd[c] = variance[c] + off * off;
  }
  sum_over_groups(s, group_rstd);
  for (long c = 0; c < s.channels; c++)
    group_rstd[c] = 1.0f / std::sqrt(group_rstd[c] * share + eps);
}

// `batch_moments` becomes the means and then the unbiased variances, (channels) each.
void batch_statistics(Shape s, Saved saved, const float* variances, float eps,
                      float* batch_moments) {
  std::vector<double> mean(s.channels), variance(s.channels);
  for (long n = 0; n < s.images; n++)
    for (long c = 0; c < s.channels; c++) mean[c] += saved.mean[n * s.channels + c];
  for (long c = 0; c < s.channels; c++) mean[c] /= (double)s.images;
  for (long n = 0; n < s.images; n++)
    for (long c = 0; c < s.channels; c++) {
      double off = saved.mean[n * s.channels + c] - mean[c];
      variance[c] += variances[n * s.channels + c] + off * off;
    }
  double count = (double)(s.images * s.pixels);
  for (long c = 0; c < s.channels; c++) {
    variance[c] /= (double)s.images;
    saved.batch_mean[c] = (float)mean[c];
    saved.batch_rstd[c] = (float)(1 / std::sqrt(variance[c] + eps));
    batch_moments[c] = (float)mean[c];
    batch_moments[s.channels + c] = (float)(variance[c] * count / (count - 1));
  }
}

// The norm of image n is scale·(x − mean) + shift, (channels) each.
void coefficients(Shape s, long n, const float* weight, const float* bias, const float* gate,
                  bool batch, Saved saved, float* scale, float* shift) {
  long at = n * s.channels;
  const float *mean = saved.mean + at, *group_mean = saved.group_mean + at,
              *group_rstd = saved.group_rstd + at;
  for (long c = 0; c < s.channels; c++) {
    float of_group = weight[c] * group_rstd[c];
    scale[c] = of_group;
    shift[c] = bias[c] + of_group * (mean[c] - group_mean[c]);
  }
  if (batch)
    for (long c = 0; c < s.channels; c++) {
      float g = gate ? gate[c] : 1.0f, of_batch = weight[c] * saved.batch_rstd[c];
      scale[c] = g * of_batch + (1 - g) * scale[c];
      shift[c] = g * (bias[c] + of_batch * (mean[c] - saved.batch_mean[c])) + (1 - g) * shift[c];
    }
}

template <After after, class T>
void forward(Shape s, const T* x, const T* shortcut, T* y, const float* weight, const float* bias,
             const float* gate, float* batch_moments, float eps, Saved saved, int threads) {
  const bool batch = batch_moments;
  std::vector<float> variances(s.images * s.channels);
#pragma omp parallel num_threads(threads)
  {
    std::vector<float> scale(s.channels), shift(s.channels);
    auto finish = [&](long n) {
      long at = n * s.channels;
      const float* mean = saved.mean + at;
      group_statistics(s, mean, &variances[at], eps, saved.group_mean + at, saved.group_rstd + at);
      coefficients(s, n, weight, bias, gate, batch, saved, scale.data(), shift.data());
      apply<after>(image(x, s, n), image(shortcut, s, n), image(y, s, n), s.pixels, s.channels,
                   mean, scale.data(), shift.data());
    };
#pragma omp for schedule(static)
    for (long n = 0; n < s.images; n++) {
      long at = n * s.channels;
      moments(image(x, s, n), s.pixels, s.channels, saved.mean + at, &variances[at]);
      if (!batch) finish(n);
    }
    if (batch) {
#pragma omp single
      batch_statistics(s, saved, variances.data(), eps, batch_moments);
#pragma omp for schedule(static)
      for (long n = 0; n < s.images; n++) finish(n);
    }
  }
}

template <After after, class T>
void backward(Shape s, const T* dy, const T* x, const T* y, T* dx, T* dshortcut,
              const float* weight, const float* bias, const float* gate, bool batch, Saved saved,
              float* dweight, float* dbias, float* dgate, int threads) {
  long size = s.images * s.channels;
  std::vector<float> sums(size), products(size);
  std::vector<double> batch_sum(s.channels), batch_product(s.channels);
  double in_group = (double)(s.channels / s.groups * s.pixels);
  double in_batch = (double)(s.images * s.pixels);
#pragma omp parallel num_threads(threads)
  {
    std::vector<float> scale(s.channels), shift(s.channels), k(s.channels), slope(s.channels),
        offset(s.channels), of_group(s.channels);
    auto finish = [&](long n) {
      long at = n * s.channels;
      const float *mean = saved.mean + at, *group_mean = saved.group_mean + at,
                  *rstd = saved.group_rstd + at, *sum = &sums[at], *product = &products[at];
      for (long c = 0; c < s.channels; c++) {
        of_group[c] = weight[c] * (batch ? (gate ? 1 - gate[c] : 0.0f) : 1.0f);
        offset[c] = of_group[c] * sum[c];
        slope[c] = of_group[c] * (product[c] + (mean[c] - group_mean[c]) * sum[c]);
      }
      sum_over_groups(s, offset.data());
      sum_over_groups(s, slope.data());
      for (long c = 0; c < s.channels; c++) {
        k[c] = of_group[c] * rstd[c];
        slope[c] *= -rstd[c] * rstd[c] * rstd[c] / (float)in_group;
        offset[c] = -rstd[c] * offset[c] / (float)in_group + slope[c] * (mean[c] - group_mean[c]);
      }
      if (batch)
        for (long c = 0; c < s.channels; c++) {
          float r = saved.batch_rstd[c], of_batch = weight[c] * (gate ? gate[c] : 1.0f) * r;
          float p = -of_batch * r * r * (float)(batch_product[c] / in_batch);
          k[c] += of_batch;
          slope[c] += p;
          offset[c] += p * (mean[c] - saved.batch_mean[c]) -
                       of_batch * (float)(batch_sum[c] / in_batch);
        }
      if (after == RELU)
        coefficients(s, n, weight, bias, gate, batch, saved, scale.data(), shift.data());
      constexpr bool is_passed = after == SHORTCUT_RELU;  // by `reduce`
      apply_gradient<is_passed ? STAYS : after>(
          is_passed ? image(dshortcut, s, n) : image(dy, s, n), image(x, s, n), image(dx, s, n),
          s.pixels, s.channels, mean, scale.data(), shift.data(), k.data(), slope.data(),
          offset.data());
    };
#pragma omp for schedule(static)
    for (long n = 0; n < s.images; n++) {
      long at = n * s.channels;
      if (after == RELU)
        coefficients(s, n, weight, bias, gate, batch, saved, scale.data(), shift.data());
      reduce<after>(image(dy, s, n), image(x, s, n), image(y, s, n), image(dshortcut, s, n),
                    s.pixels, s.channels, saved.mean + at, scale.data(), shift.data(), &sums[at],
                    &products[at]);
      if (!batch) finish(n);
    }
#pragma omp single
    {
      std::vector<double> group_product(s.channels);
      for (long n = 0; n < s.images; n++)
        for (long c = 0; c < s.channels; c++) {
          long at = n * s.channels + c;
          double mean = saved.mean[at], sum = sums[at], product = products[at];
          batch_sum[c] += sum;
          if (batch) batch_product[c] += product + (mean - saved.batch_mean[c]) * sum;
          group_product[c] += saved.group_rstd[at] * (product + (mean - saved.group_mean[at]) * sum);
        }
      for (long c = 0; c < s.channels; c++) {
        double of_batch = saved.batch_rstd[c] * batch_product[c], of_group = group_product[c];
        double g = batch ? (gate ? gate[c] : 1.0) : 0.0;
        dbias[c] = (float)batch_sum[c];
        dweight[c] = (float)(g == 0 ? of_group : g == 1 ? of_batch : g * of_batch + (1 - g) * of_group);
        if (dgate) dgate[c] = (float)(weight[c] * (of_batch - of_group));
      }
    }
    if (batch) {
#pragma omp for schedule(static)
      for (long n = 0; n < s.images; n++) finish(n);
    }
  }
}

}  // namespace

extern "C" {

// There are batch statistics if `batch_moments`, 2·channels, is not null;
// `gate` may be null, and `shortcut` where none is added.
// `saved` has 3·images·channels + 2·channels floats.
void mixed_norm_forward(int is_bfloat16, int relu, long images, long pixels, long channels,
                        long groups, const void* x, const void* shortcut, void* y,
                        const float* weight, const float* bias, const float* gate,
                        float* batch_moments, float eps, float* saved, int threads) {
  Shape s{images, pixels, channels, groups};
  After after = after_norm(relu, shortcut);
  auto of_type = [&](auto* out) {
    typedef std::remove_pointer_t<decltype(out)> T;
    auto run = after == STAYS ? forward<STAYS, T>
               : after == RELU ? forward<RELU, T>
                               : forward<SHORTCUT_RELU, T>;
    run(s, (const T*)x, (const T*)shortcut, out, weight, bias, gate, batch_moments, eps,
        Saved(saved, s), threads);
  };
  if (is_bfloat16)
    of_type((bfloat16*)y);
  else
    of_type((float*)y);
}

// `gate`, and with it `dgate`, may be null; `y` and `dshortcut` where no shortcut was added.
void mixed_norm_backward(int is_bfloat16, int relu, long images, long pixels, long channels,
                         long groups, const void* dy, const void* x, const void* y, void* dx,
                         void* dshortcut, const float* weight, const float* bias,
                         const float* gate, int batch, float* saved, float* dweight, float* dbias,
                         float* dgate, int threads) {
  Shape s{images, pixels, channels, groups};
  After after = after_norm(relu, dshortcut);
  auto of_type = [&](auto* out) {
    typedef std::remove_pointer_t<decltype(out)> T;
    auto run = after == STAYS ? backward<STAYS, T>
               : after == RELU ? backward<RELU, T>
                               : backward<SHORTCUT_RELU, T>;
    run(s, (const T*)dy, (const T*)x, (const T*)y, out, (T*)dshortcut, weight, bias, gate, batch,
        Saved(saved, s), dweight, dbias, dgate, threads);
  };
  if (is_bfloat16)
    of_type((bfloat16*)dx);
  else
    of_type((float*)dx);
}
}
