// What PyTorch lacks for training `mobile` on a CPU, in bfloat16 and NHWC: depthwise
// convolutions, ReLU6, enlarging, each with its gradient. Sums are float32.
//
// PyTorch's own depthwise gradients take 8 (float32) to 40 times (bfloat16) as long as
// these, which would be most of a training step.

#include <immintrin.h>
#include <omp.h>
#include <torch/extension.h>

#include <algorithm>
#include <cstdint>
#include <vector>

namespace {

using Half = at::BFloat16;
constexpr int kLanes = 16;  // of AVX-512, in float32

__m512 load(const Half* source) {
  const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(source));
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
}

void store(Half* target, __m512 value) {
  const __m256i bits = (__m256i)_mm512_cvtneps_pbh(value);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(target), bits);
}

// Sizes of an input and an output, and TensorFlow's padding "same" before the first
// row and column.
struct Shape {
  int64_t batch, height, width, channels, out_height, out_width, top, left;

  Shape(const at::Tensor& x, int kernel, int stride)
      : batch(x.size(0)), height(x.size(1)), width(x.size(2)), channels(x.size(3)) {
    TORCH_CHECK(channels % kLanes == 0, "channels must be a multiple of 16");
    out_height = (height + stride - 1) / stride;
    out_width = (width + stride - 1) / stride;
    top = std::max<int64_t>((out_height - 1) * stride + kernel - height, 0) / 2;
    left = std::max<int64_t>((out_width - 1) * stride + kernel - width, 0) / 2;
  }
  int64_t in(int64_t n, int64_t h, int64_t w) const {
    return ((n * height + h) * width + w) * channels;
  }
  int64_t out(int64_t n, int64_t h, int64_t w) const {
    return ((n * out_height + h) * out_width + w) * channels;
  }
};

template <int K>
void load_taps(const float* weights, int64_t channels, __m512* taps) {
  for (int t = 0; t < K * K; ++t) taps[t] = _mm512_loadu_ps(weights + t * channels);
}

template <int K, int S>
void forward(const Half* x, const float* weights, const float* bias, Half* y, Shape s) {
#pragma omp parallel for collapse(2)
  for (int64_t n = 0; n < s.batch; ++n)
    for (int64_t h = 0; h < s.out_height; ++h)
      for (int64_t c = 0; c < s.channels; c += kLanes) {
        __m512 taps[K * K];
        load_taps<K>(weights + c, s.channels, taps);
        const __m512 start = _mm512_loadu_ps(bias + c);
        for (int64_t w = 0; w < s.out_width; ++w) {
          __m512 sum = start;
          for (int i = 0; i < K; ++i) {
            const int64_t row = h * S + i - s.top;
            if (row < 0 || row >= s.height) continue;
            for (int j = 0; j < K; ++j) {
              const int64_t column = w * S + j - s.left;
              if (column < 0 || column >= s.width) continue;
              sum = _mm512_fmadd_ps(load(x + s.in(n, row, column) + c), taps[i * K + j],
                                    sum);
            }
          }
          sum = _mm512_max_ps(sum, _mm512_setzero_ps());
          store(y + s.out(n, h, w) + c, _mm512_min_ps(sum, _mm512_set1_ps(6)));
        }
      }
}

template <int K, int S>
void input_gradient(const Half* g, const float* weights, Half* x, Shape s) {
#pragma omp parallel for collapse(2)
  for (int64_t n = 0; n < s.batch; ++n)
    for (int64_t h = 0; h < s.height; ++h)
      for (int64_t c = 0; c < s.channels; c += kLanes) {
        __m512 taps[K * K];
        load_taps<K>(weights + c, s.channels, taps);
        for (int64_t w = 0; w < s.width; ++w) {
          __m512 sum = _mm512_setzero_ps();
          for (int i = 0; i < K; ++i) {
            const int64_t down = h + s.top - i;
            if (down < 0 || down % S || down / S >= s.out_height) continue;
            for (int j = 0; j < K; ++j) {
              const int64_t right = w + s.left - j;
              if (right < 0 || right % S || right / S >= s.out_width) continue;
              sum = _mm512_fmadd_ps(load(g + s.out(n, down / S, right / S) + c),
                                    taps[i * K + j], sum);
            }
          }
          store(x + s.in(n, h, w) + c, sum);
        }
      }
}

template <int K, int S>
void weight_gradient(const Half* g, const Half* x, float* weights, Shape s) {
#pragma omp parallel for
  for (int64_t c = 0; c < s.channels; c += kLanes) {
    __m512 sums[K * K];  // all of them in registers
    for (int t = 0; t < K * K; ++t) sums[t] = _mm512_setzero_ps();
    for (int64_t n = 0; n < s.batch; ++n)
      for (int64_t h = 0; h < s.out_height; ++h)
        for (int64_t w = 0; w < s.out_width; ++w) {
          const __m512 here = load(g + s.out(n, h, w) + c);
          const int64_t row = h * S - s.top, column = w * S - s.left;
          const bool inside = row >= 0 && column >= 0 && row + K <= s.height &&
                              column + K <= s.width;
          if (inside) {
            const Half* first = x + s.in(n, row, column) + c;
#pragma GCC unroll 5
            for (int i = 0; i < K; ++i)
#pragma GCC unroll 5
              for (int j = 0; j < K; ++j)
                sums[i * K + j] =
                    _mm512_fmadd_ps(here, load(first + (i * s.width + j) * s.channels),
                                    sums[i * K + j]);
            continue;
          }
          for (int i = 0; i < K; ++i)
            for (int j = 0; j < K; ++j)
              if (row + i >= 0 && row + i < s.height && column + j >= 0 &&
                  column + j < s.width)
                sums[i * K + j] = _mm512_fmadd_ps(
                    here, load(x + s.in(n, row + i, column + j) + c), sums[i * K + j]);
        }
    for (int t = 0; t < K * K; ++t)
      _mm512_storeu_ps(weights + t * s.channels + c, sums[t]);
  }
}

// Calls FUNCTION<kernel, stride>.
#define FOR_KERNEL(FUNCTION, kernel, stride, ...)                        \
  if (kernel == 3 && stride == 1) FUNCTION<3, 1>(__VA_ARGS__);           \
  else if (kernel == 3 && stride == 2) FUNCTION<3, 2>(__VA_ARGS__);      \
  else if (kernel == 5 && stride == 1) FUNCTION<5, 1>(__VA_ARGS__);      \
  else if (kernel == 5 && stride == 2) FUNCTION<5, 2>(__VA_ARGS__);      \
  else TORCH_CHECK(false, "a kernel of 3 or 5 and a stride of 1 or 2 are needed")

void check(const at::Tensor& x, const at::Tensor& weights) {
  TORCH_CHECK(x.is_contiguous() && x.dtype() == at::kBFloat16, "NHWC in bfloat16");
  TORCH_CHECK(weights.is_contiguous() && weights.dtype() == at::kFloat, "float32");
}

}  // namespace

// ReLU6(x * weights + bias); x (N, H, W, C) bfloat16, weights (kernel^2, C) and bias
// (C) float32.
at::Tensor depthwise(at::Tensor x, at::Tensor weights, at::Tensor bias, int64_t kernel,
                     int64_t stride) {
  check(x, weights);
  const Shape s(x, kernel, stride);
  auto y = at::empty({s.batch, s.out_height, s.out_width, s.channels}, x.options());
  FOR_KERNEL(forward, kernel, stride, x.data_ptr<Half>(), weights.data_ptr<float>(),
             bias.data_ptr<float>(), y.data_ptr<Half>(), s);
  return y;
}

// Gradients of what `depthwise` takes, of x only if asked for; g is that of the sum
// before ReLU6, (N, H', W', C) bfloat16.
std::vector<at::Tensor> depthwise_gradients(at::Tensor g, at::Tensor x,
                                            at::Tensor weights, int64_t kernel,
                                            int64_t stride, bool of_x) {
  check(x, weights);
  check(g, weights);
  const Shape s(x, kernel, stride);
  auto for_weights = at::empty_like(weights);
  FOR_KERNEL(weight_gradient, kernel, stride, g.data_ptr<Half>(), x.data_ptr<Half>(),
             for_weights.data_ptr<float>(), s);
  at::Tensor for_x;
  if (of_x) {
    for_x = at::empty_like(x);
    FOR_KERNEL(input_gradient, kernel, stride, g.data_ptr<Half>(),
               weights.data_ptr<float>(), for_x.data_ptr<Half>(), s);
  }
  return {for_x, for_weights};
}

// Gradient before ReLU6, and its sum over all but the last axis, of that after it; y is
// ReLU6's answer. Both bfloat16, the sum float32.
std::vector<at::Tensor> relu6_gradient(at::Tensor g, at::Tensor y) {
  const int64_t channels = y.size(-1), rows = y.numel() / channels;
  TORCH_CHECK(channels % kLanes == 0 && y.is_contiguous() && g.is_contiguous());
  auto before = at::empty_like(y);
  auto sums = at::zeros({omp_get_max_threads(), channels}, y.options().dtype(at::kFloat));
  const Half *after = g.data_ptr<Half>(), *answer = y.data_ptr<Half>();
  Half* target = before.data_ptr<Half>();
  float* totals = sums.data_ptr<float>();
#pragma omp parallel
  {
    float* own = totals + omp_get_thread_num() * channels;
    const __m512 zero = _mm512_setzero_ps(), six = _mm512_set1_ps(6);
#pragma omp for
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t c = 0; c < channels; c += kLanes) {
        const int64_t at = row * channels + c;
        const __m512 value = load(answer + at);
        const __mmask16 passes = _mm512_cmp_ps_mask(value, zero, _CMP_GT_OQ) &
                                 _mm512_cmp_ps_mask(value, six, _CMP_LT_OQ);
        const __m512 passed = _mm512_maskz_mov_ps(passes, load(after + at));
        store(target + at, passed);
        _mm512_storeu_ps(own + c, _mm512_add_ps(_mm512_loadu_ps(own + c), passed));
      }
  }
  return {before, sums.sum(0)};
}

// Bounds y, bfloat16, in place.
void relu6(at::Tensor y) {
  TORCH_CHECK(y.is_contiguous() && y.numel() % kLanes == 0);
  Half* values = y.data_ptr<Half>();
  const __m512 zero = _mm512_setzero_ps(), six = _mm512_set1_ps(6);
#pragma omp parallel for
  for (int64_t at = 0; at < y.numel(); at += kLanes)
    store(values + at, _mm512_min_ps(_mm512_max_ps(load(values + at), zero), six));
}

// Gradient of an image that was enlarged twice, bilinearly; g (N, 2H, 2W, C) bfloat16.
at::Tensor enlarging_gradient(at::Tensor g) {
  const int64_t batch = g.size(0), height = g.size(1), width = g.size(2);
  const int64_t channels = g.size(3);
  TORCH_CHECK(g.is_contiguous() && channels % kLanes == 0);
  auto x = at::empty({batch, height / 2, width / 2, channels}, g.options());
  const Half* source = g.data_ptr<Half>();
  Half* target = x.data_ptr<Half>();
  constexpr float kShares[4] = {.25f, .75f, .75f, .25f};
#pragma omp parallel for collapse(2)
  for (int64_t n = 0; n < batch; ++n)
    for (int64_t h = 0; h < height / 2; ++h)
      for (int64_t w = 0; w < width / 2; ++w)
        for (int64_t c = 0; c < channels; c += kLanes) {
          __m512 sum = _mm512_setzero_ps();
          for (int i = 0; i < 4; ++i) {
            const int64_t row = std::clamp<int64_t>(2 * h - 1 + i, 0, height - 1);
            for (int j = 0; j < 4; ++j) {
              const int64_t column = std::clamp<int64_t>(2 * w - 1 + j, 0, width - 1);
              const Half* from = source + ((n * height + row) * width + column) * channels;
              sum = _mm512_fmadd_ps(_mm512_set1_ps(kShares[i] * kShares[j]),
                                    load(from + c), sum);
            }
          }
          store(target + ((n * (height / 2) + h) * (width / 2) + w) * channels + c, sum);
        }
  return x;
}

PYBIND11_MODULE(TORCH_EXTENSION_NAME, module) {
  module.def("relu6", &relu6);
  module.def("enlarging_gradient", &enlarging_gradient);
  module.def("depthwise", &depthwise);
  module.def("depthwise_gradients", &depthwise_gradients);
  module.def("relu6_gradient", &relu6_gradient);
}
