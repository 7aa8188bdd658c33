#include "preprocess.hpp"

#include <algorithm>
#include <cmath>

#ifdef WITH_OPENCV
#include <opencv2/imgproc.hpp>
#endif

namespace {

// A strip of 1 x 100000 pixels is a small file and 19 GB once its short side has 256.
constexpr double MOST_RESIZED = 1 << 28;
constexpr int ONE = 2048;  // weights of bilinear are of 11 bits

// Where a pixel of the result falls in a row or column of the source: on `at`, and `part` of the way to the next one.
struct Place {
    int at;
    float part;
};

Place place(int index, int source, int result) {
    const double step = 1.0 / (double(result) / source);
    const float position = float((index + 0.5) * step - 0.5);
    const float floor = std::floor(position);
    return {int(floor), position - floor};
}

// What one pixel of the result takes of a row or column: `count` pixels, with their weights.
template <typename T, int count>
struct Taps {
    int from[count];
    T weight[count];
};

using Linear = Taps<int, 2>;
using Cubic = Taps<float, 4>;

// inside: a pixel beyond the edge is the one on it; across rows it is their sum that OpenCV rounds, which differs.
std::vector<Linear> linear_taps(int source, int result, bool inside) {
    std::vector<Linear> taps;
    for (int i = 0; i < result; ++i) {
        auto [at, part] = place(i, source, result);
        if (inside && (at < 0 || at >= source - 1)) at = at < 0 ? 0 : source - 1, part = 0;
        const auto weight = [](float share) { return int(std::nearbyint(share * ONE)); };
        const auto clip = [source](int one) { return std::clamp(one, 0, source - 1); };
        taps.push_back({{clip(at), clip(at + 1)}, {weight(1 - part), weight(part)}});
    }
    return taps;
}

// Keys' cubic convolution with a = -0.75, as OpenCV has it.
std::vector<Cubic> cubic_taps(int source, int result) {
    const auto near = [](double x) { return (1.25 * x - 2.25) * x * x + 1; };                // within one pixel
    const auto far = [](double x) { return ((-0.75 * x + 3.75) * x - 6) * x + 3; };          // within two
    std::vector<Cubic> taps;
    for (int i = 0; i < result; ++i) {
        const double position = (i + 0.5) * source / result - 0.5, floor = std::floor(position), x = position - floor;
        Cubic one{{}, {float(far(1 + x)), float(near(x)), float(near(1 - x)), float(far(2 - x))}};
        for (int k = 0; k < 4; ++k) one.from[k] = std::clamp(int(floor) + k - 1, 0, source - 1);
        taps.push_back(one);
    }
    return taps;
}

// Rows made as wide as the result, of sums that are not rounded yet: (source height, width, 3).
template <typename T, int count>
std::vector<T> widened(const Image& image, const std::vector<Taps<T, count>>& taps) {
    std::vector<T> sums(taps.size() * 3 * image.height);
    T* out = sums.data();
    for (int y = 0; y < image.height; ++y)
        for (const auto& tap : taps)
            for (int channel = 0; channel < 3; ++channel) {
                T sum = 0;
                for (int k = 0; k < count; ++k) sum += image.row(y)[tap.from[k] * 3 + channel] * tap.weight[k];
                *out++ = sum;
            }
    return sums;
}

// Bit for bit OpenCV's INTER_LINEAR on 8 bits: the weights of 11 bits, four bits of the rows' sums left out, and the
// two products cut off before they are added.
Image bilinear(const Image& image, int width, int height) {
    Image out(width, height);
    if (image.width == 2 * width && image.height == 2 * height) {  // there it takes the mean of four
        for (int y = 0; y < height; ++y)
            for (int x = 0; x < width * 3; ++x) {
                const int left = x / 3 * 6 + x % 3;
                const auto *above = image.row(2 * y) + left, *below = image.row(2 * y + 1) + left;
                out.row(y)[x] = static_cast<unsigned char>((above[0] + above[3] + below[0] + below[3] + 2) >> 2);
            }
        return out;
    }
    const auto sums = widened(image, linear_taps(image.width, width, true));
    const auto rows = linear_taps(image.height, height, false);
    const std::size_t length = std::size_t(width) * 3;
    for (int y = 0; y < height; ++y) {
        const auto& tap = rows[y];
        const int *above = &sums[tap.from[0] * length], *below = &sums[tap.from[1] * length];
        for (std::size_t x = 0; x < length; ++x) {
            const int sum = ((tap.weight[0] * (above[x] >> 4)) >> 16) + ((tap.weight[1] * (below[x] >> 4)) >> 16);
            out.row(y)[x] = static_cast<unsigned char>((sum + 2) >> 2);
        }
    }
    return out;
}

// OpenCV's INTER_CUBIC as it is with Intel's library: in float. Without, it has weights of 11 bits, and is another one.
Image bicubic(const Image& image, int width, int height) {
    Image out(width, height);
    const auto sums = widened(image, cubic_taps(image.width, width));
    const auto rows = cubic_taps(image.height, height);
    const std::size_t length = std::size_t(width) * 3;
    for (int y = 0; y < height; ++y)
        for (std::size_t x = 0; x < length; ++x) {
            float sum = 0;
            for (int k = 0; k < 4; ++k) sum += sums[rows[y].from[k] * length + x] * rows[y].weight[k];
            out.row(y)[x] = static_cast<unsigned char>(std::clamp(std::nearbyint(sum), 0.0f, 255.0f));
        }
    return out;
}

Image resized(const Image& image, int width, int height, const std::string& interpolation) {
    if (interpolation == "bilinear") return bilinear(image, width, height);
    if (interpolation == "bicubic") return bicubic(image, width, height);
#ifdef WITH_OPENCV
    const std::map<std::string, int> known = {{"nearest", cv::INTER_NEAREST},
                                              {"area", cv::INTER_AREA},
                                              {"lanczos", cv::INTER_LANCZOS4}};
    if (known.count(interpolation)) {
        Image out(width, height);
        const cv::Mat from(image.height, image.width, CV_8UC3, const_cast<unsigned char*>(image.pixels.data()));
        cv::Mat to(height, width, CV_8UC3, out.pixels.data());
        cv::resize(from, to, to.size(), 0, 0, known.at(interpolation));
        return out;
    }
#endif
    throw Refusal("this program does not resize by " + interpolation + ": build it with -DWITH_OPENCV=ON");
}

}  // namespace

void preprocess(const Image& image, const Preprocessing& settings, float* out, const std::filesystem::path& file) {
    double width = settings.resize_short, height = settings.resize_short;
    if (settings.keep_ratio) {
        const double ratio = double(settings.resize_short) / std::min(image.width, image.height);
        width = std::nearbyint(image.width * ratio);  // halves go to the even number
        height = std::nearbyint(image.height * ratio);
    }
    if (width * height > MOST_RESIZED)
        throw Refusal(file.string() + " is too long a strip: it would be resized to " + std::to_string(long(width)) + "x" +
                      std::to_string(long(height)));
    const Image small = resized(image, int(width), int(height), settings.interpolation);
    const int side = settings.crop, top = (small.height - side) / 2, left = (small.width - side) / 2;
    const float scale = float(settings.scale);
    for (int channel = 0; channel < 3; ++channel) {
        const float shift = float(255 * settings.scale * settings.mean[channel]);
        const float spread = float(255 * settings.scale * settings.std[channel]);
        float table[256];
        for (int level = 0; level < 256; ++level) table[level] = (float(level) * scale - shift) / spread;
        for (int y = 0; y < side; ++y)
            for (int x = 0; x < side; ++x) *out++ = table[small.row(top + y)[(left + x) * 3 + channel]];
    }
}
