// Statistics of images and of their batch, and what they make of each channel.

#pragma once

#include <cmath>
#include <cstring>
#include <vector>

namespace {

struct Shape {
  long images, pixels, channels, groups;
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

}  // namespace
