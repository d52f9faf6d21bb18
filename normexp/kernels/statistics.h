// Statistics of images and of their batch, and what they make of each channel.

#pragma once

#include <cmath>
#include <cstring>
#include <vector>

namespace {

// The batch is in `parts` with statistics of their own: image n is in part n % parts.
struct Shape {
  long images, pixels, channels, groups, parts;

  // Where the part of image n begins among statistics of (parts, channels).
  long part(long n) const { return n % parts * channels; }
};

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

// What forward leaves for backward, (images, channels) each and (parts, channels) for the batch.
struct Saved {
  float *mean, *group_mean, *group_rstd, *batch_mean, *batch_rstd;
  Saved(float* at, Shape s) {
    long size = s.images * s.channels;
    mean = at;
    group_mean = mean + size;
    group_rstd = group_mean + size;
    batch_mean = group_rstd + size;
    batch_rstd = batch_mean + s.parts * s.channels;
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

// `batch_moments` becomes the means and then the unbiased variances, (channels) each, those of the
// parts averaged.
void batch_statistics(Shape s, Saved saved, const float* variances, float eps,
                      float* batch_moments) {
  const long size = s.parts * s.channels;
  std::vector<double> mean(size), variance(size), moments(2 * s.channels);
  const double images = (double)(s.images / s.parts), count = images * (double)s.pixels;
  for (long n = 0; n < s.images; n++)
    for (long c = 0; c < s.channels; c++) mean[s.part(n) + c] += saved.mean[n * s.channels + c];
  for (double& m : mean) m /= images;
  for (long n = 0; n < s.images; n++)
    for (long c = 0; c < s.channels; c++) {
      double off = saved.mean[n * s.channels + c] - mean[s.part(n) + c];
      variance[s.part(n) + c] += variances[n * s.channels + c] + off * off;
    }
  for (long i = 0; i < size; i++) {
    variance[i] /= images;
    saved.batch_mean[i] = (float)mean[i];
    saved.batch_rstd[i] = (float)(1 / std::sqrt(variance[i] + eps));
    moments[i % s.channels] += mean[i];
    moments[s.channels + i % s.channels] += variance[i] * count / (count - 1);
  }
  for (long i = 0; i < 2 * s.channels; i++)
    batch_moments[i] = (float)(moments[i] / (double)s.parts);
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
  if (batch) {
    const float *batch_mean = saved.batch_mean + s.part(n), *rstd = saved.batch_rstd + s.part(n);
    for (long c = 0; c < s.channels; c++) {
      float g = gate ? gate[c] : 1.0f, of_batch = weight[c] * rstd[c];
      scale[c] = g * of_batch + (1 - g) * scale[c];
      shift[c] = g * (bias[c] + of_batch * (mean[c] - batch_mean[c])) + (1 - g) * shift[c];
    }
  }
}

}  // namespace
