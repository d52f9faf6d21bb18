// Batch, instance, group and gated norm in one: forward and backward of
//
//   y = weight·(gate·BN(x) + (1 − gate)·GN(x)) + bias, or relu(y), or relu(y + shortcut),
//
// for images of N × pixels × channels (channels last). Without batch statistics the gate is 0;
// without a gate beside them it is 1. GN with as many groups as channels is instance norm. BN with
// parts of the batch is ghost batch norm.
//
// Statistics and sums are float32 or wider whatever the type of x. Everything is centred on each
// image's own channel means, so a large mean costs no digits. An image's sums are one thread's, and
// sums over images are taken in order, so the bits do not depend on the number of threads.

#include <vector>

#include "pixels.h"
#include "statistics.h"

namespace {

// As `Norm` in calls.py. What is not needed is null: `moments` where there are no batch statistics;
// `gate`, which then is 1 beside them; `shortcut` and `dshortcut` where none is added. Forward
// writes `y`, `moments` and `saved`, backward `dx`, `dshortcut`, `dweight`, `dbias` and `dgate`.
struct Call {
  long images, pixels, channels, groups, parts;
  int is_bfloat16, relu, threads;
  float eps;
  void *x, *y, *shortcut, *dy, *dx, *dshortcut;
  float *weight, *bias, *gate, *dweight, *dbias, *dgate;
  float *moments;  // 2·channels
  float *saved;    // 3·images·channels + 2·parts·channels

  Shape shape() const { return {images, pixels, channels, groups, parts}; }
};

// One image of all, which may be null.
template <class T>
T* image(T* all, Shape s, long n) {
  return all ? all + n * s.pixels * s.channels : nullptr;
}

template <After after, class T>
void forward(const Call& call) {
  const Shape s = call.shape();
  const Saved saved(call.saved, s);
  const bool batch = call.moments;
  const float *weight = call.weight, *bias = call.bias, *gate = call.gate;
  const T *x = (T*)call.x, *shortcut = (T*)call.shortcut;
  T* y = (T*)call.y;
  std::vector<float> variances(s.images * s.channels);
#pragma omp parallel num_threads(call.threads)
  {
    std::vector<float> scale(s.channels), shift(s.channels);
    auto finish = [&](long n) {
      long at = n * s.channels;
      const float* mean = saved.mean + at;
      group_statistics(s, mean, &variances[at], call.eps, saved.group_mean + at,
                       saved.group_rstd + at);
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
      batch_statistics(s, saved, variances.data(), call.eps, call.moments);
#pragma omp for schedule(static)
      for (long n = 0; n < s.images; n++) finish(n);
    }
  }
}

template <After after, class T>
void backward(const Call& call) {
  const Shape s = call.shape();
  const Saved saved(call.saved, s);
  const bool batch = call.moments;
  const float *weight = call.weight, *bias = call.bias, *gate = call.gate;
  const T *dy = (T*)call.dy, *x = (T*)call.x, *y = (T*)call.y;
  T *dx = (T*)call.dx, *dshortcut = (T*)call.dshortcut;
  long size = s.images * s.channels, batch_size = s.parts * s.channels;
  std::vector<float> sums(size), products(size);
  std::vector<double> batch_sum(batch_size), batch_product(batch_size);
  double in_group = (double)(s.channels / s.groups * s.pixels);
  double in_part = (double)(s.images / s.parts * s.pixels);
#pragma omp parallel num_threads(call.threads)
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
          long i = s.part(n) + c;
          float r = saved.batch_rstd[i], of_batch = weight[c] * (gate ? gate[c] : 1.0f) * r;
          float p = -of_batch * r * r * (float)(batch_product[i] / in_part);
          k[c] += of_batch;
          slope[c] += p;
          offset[c] += p * (mean[c] - saved.batch_mean[i]) -
                       of_batch * (float)(batch_sum[i] / in_part);
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
          long at = n * s.channels + c, i = s.part(n) + c;
          double mean = saved.mean[at], sum = sums[at], product = products[at];
          batch_sum[i] += sum;
          if (batch) batch_product[i] += product + (mean - saved.batch_mean[i]) * sum;
          group_product[c] += saved.group_rstd[at] * (product + (mean - saved.group_mean[at]) * sum);
        }
      for (long c = 0; c < s.channels; c++) {
        double of_batch = 0, of_group = group_product[c], bias = 0;
        for (long i = c; i < batch_size; i += s.channels) {
          bias += batch_sum[i];
          of_batch += saved.batch_rstd[i] * batch_product[i];
        }
        double g = batch ? (gate ? gate[c] : 1.0) : 0.0;
        call.dbias[c] = (float)bias;
        call.dweight[c] =
            (float)(g == 0 ? of_group : g == 1 ? of_batch : g * of_batch + (1 - g) * of_group);
        if (call.dgate) call.dgate[c] = (float)(weight[c] * (of_batch - of_group));
      }
    }
    if (batch) {
#pragma omp for schedule(static)
      for (long n = 0; n < s.images; n++) finish(n);
    }
  }
}

template <class T>
void forward(const Call& call) {
  if (!call.relu)
    forward<STAYS, T>(call);
  else if (!call.shortcut)
    forward<RELU, T>(call);
  else
    forward<SHORTCUT_RELU, T>(call);
}

template <class T>
void backward(const Call& call) {
  if (!call.relu)
    backward<STAYS, T>(call);
  else if (!call.dshortcut)
    backward<RELU, T>(call);
  else
    backward<SHORTCUT_RELU, T>(call);
}

}  // namespace

extern "C" {

void norm_forward(const Call* call) {
  call->is_bfloat16 ? forward<bfloat16>(*call) : forward<float>(*call);
}

void norm_backward(const Call* call) {
  call->is_bfloat16 ? backward<bfloat16>(*call) : backward<float>(*call);
}
}
