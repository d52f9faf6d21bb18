// 2×2 max pooling of images in channels last, forward and backward, to the bit as torch's.

#include <cstring>
#include <initializer_list>

#include "vectors.h"

namespace {

// Maps of height × width are pooled to half of each, without an odd last row or column.
struct Shape {
  long images, channels, height, width;
};

// `body(row, corner)` for each row of all pooled maps, with the offset of its upper left pixel.
template <class Body>
void for_each_row(Shape s, int threads, Body body) {
  long per_image = s.height / 2;
#pragma omp parallel for schedule(static) num_threads(threads)
  for (long row = 0; row < s.images * per_image; row++)
    body(row, (row / per_image * s.height + row % per_image * 2) * s.width * s.channels);
}

template <class T>
void forward(Shape s, const T* x, T* y, uint8_t* which, int threads) {
  const long pooled = s.width / 2, down = s.width * s.channels;
  for_each_row(s, threads, [=](long row, long corner) {
    for (long j = 0; j < pooled; j++)
      for (long c = 0; c < s.channels; c += LANES) {
        const T* at = x + corner + 2 * j * s.channels + c;
        const T* from[] = {at, at + s.channels, at + down, at + down + s.channels};
        const Words corners[] = {bits(from[0]), bits(from[1]), bits(from[2]), bits(from[3])};
        const long to = (row * pooled + j) * s.channels + c;
        store_highest(corners, y + to, which + to);
      }
  });
}

template <class T>
void backward(Shape s, const T* dy, const uint8_t* which, T* dx, int threads) {
  const long pooled = s.width / 2, down = s.width * s.channels;
  for_each_row(s, threads, [=](long row, long corner) {
    T* left = dx + corner;
    for (long j = 0; j < pooled; j++)
      for (long c = 0; c < s.channels; c += LANES) {
        long from = (row * pooled + j) * s.channels + c;
        Words index = places(which + from), gradient = bits(dy + from);
        T* at = left + 2 * j * s.channels + c;
        T* to[] = {at, at + s.channels, at + down, at + down + s.channels};
        for (uint32_t k = 0; k < 4; k++) store(to[k], (Words)(index == k) & gradient);
      }
    if (s.width % 2)
      for (T* last : {left + down - s.channels, left + 2 * down - s.channels})
        std::memset(last, 0, s.channels * sizeof(T));
    if (s.height % 2 && (row + 1) % (s.height / 2) == 0)
      std::memset(left + 2 * down, 0, down * sizeof(T));
  });
}

}  // namespace

extern "C" {

// `which`, of the size of y, becomes the place of each maximum, 0 to 3 in rows: the first of equals.
void max_pool_forward(int is_bfloat16, long images, long channels, long height, long width,
                      const void* x, void* y, uint8_t* which, int threads) {
  Shape s{images, channels, height, width};
  if (is_bfloat16)
    forward(s, (const bfloat16*)x, (bfloat16*)y, which, threads);
  else
    forward(s, (const float*)x, (float*)y, which, threads);
}

void max_pool_backward(int is_bfloat16, long images, long channels, long height, long width,
                       const void* dy, const uint8_t* which, void* dx, int threads) {
  Shape s{images, channels, height, width};
  if (is_bfloat16)
    backward(s, (const bfloat16*)dy, which, (bfloat16*)dx, threads);
  else
    backward(s, (const float*)dy, which, (float*)dx, threads);
}
}
