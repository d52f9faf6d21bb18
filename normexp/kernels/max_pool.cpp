// 2×2 max pooling of images in channels last, forward and backward, to the bit as torch's.

#include <cstring>
#include <initializer_list>

#include "vectors.h"

namespace {

// As `Pool` in calls.py. Maps of height × width are pooled to half of each, without an odd last row
// or column; they are the images, or their gradients. `places`, of the size of `pooled`, are those
// of the maxima, 0 to 3 in rows: the first of equals.
struct Call {
  long images, channels, height, width;
  int is_bfloat16, threads;
  void *full, *pooled;
  uint8_t* places;
};

// `body(row, corner)` for each row of all pooled maps, with the offset of its upper left pixel.
template <class Body>
void for_each_row(Call s, Body body) {
  long per_image = s.height / 2;
#pragma omp parallel for schedule(static) num_threads(s.threads)
  for (long row = 0; row < s.images * per_image; row++)
    body(row, (row / per_image * s.height + row % per_image * 2) * s.width * s.channels);
}

template <class T>
void forward(Call s) {
  const T* x = (const T*)s.full;
  T* y = (T*)s.pooled;
  const long pooled = s.width / 2, down = s.width * s.channels;
  for_each_row(s, [=](long row, long corner) {
    for (long j = 0; j < pooled; j++)
      for (long c = 0; c < s.channels; c += WIDTH) {
        const T* at = x + corner + 2 * j * s.channels + c;
        const T* from[] = {at, at + s.channels, at + down, at + down + s.channels};
        const Words corners[] = {bits(from[0]), bits(from[1]), bits(from[2]), bits(from[3])};
        const long to = (row * pooled + j) * s.channels + c;
        store_highest(corners, y + to, s.places + to);
      }
  });
}

template <class T>
void backward(Call s) {
  const T* dy = (const T*)s.pooled;
  T* dx = (T*)s.full;
  const long pooled = s.width / 2, down = s.width * s.channels;
  for_each_row(s, [=](long row, long corner) {
    T* left = dx + corner;
    for (long j = 0; j < pooled; j++)
      for (long c = 0; c < s.channels; c += WIDTH) {
        long from = (row * pooled + j) * s.channels + c;
        Words index = places(s.places + from), gradient = bits(dy + from);
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

void max_pool_forward(const Call* call) {
  call->is_bfloat16 ? forward<bfloat16>(*call) : forward<float>(*call);
}

void max_pool_backward(const Call* call) {
  call->is_bfloat16 ? backward<bfloat16>(*call) : backward<float>(*call);
}
}
