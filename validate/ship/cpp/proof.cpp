#include "proof.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>

namespace {

// The least that is taken for Paddle's own error, as a share of the largest logit: twice the spacing of float32.
const double FLOOR = std::ldexp(1.0, -22);

// The values of a .npy file (numpy.lib.format: magic, version, length of the header, header, values).
template <typename T>
std::vector<T> values(const Settings& settings, const std::string& name, const std::string& type) {
    const auto file = settings.folder / "proof" / name;
    const auto bytes = read_bytes(file);
    std::vector<T> found;
    const bool known = bytes.size() > 10 && std::memcmp(bytes.data(), "\x93NUMPY\x01", 7) == 0;
    const std::size_t start = known ? 10 + bytes[8] + 256 * bytes[9] : 0;
    const std::string header(bytes.begin(), bytes.begin() + std::ptrdiff_t(std::min(start, bytes.size())));
    if (!known || start >= bytes.size() || (bytes.size() - start) % sizeof(T) ||
        header.find("'descr': '" + type + "'") == header.npos || header.find("'fortran_order': False") == header.npos)
        throw Refusal(file.string() + " is no .npy file of type " + type + ": export the model again");
    found.resize((bytes.size() - start) / sizeof(T));
    std::memcpy(found.data(), bytes.data() + start, bytes.size() - start);
    return found;
}

}  // namespace

std::vector<float> proof_inputs(const Settings& settings) {
    const auto found = values<float>(settings, "inputs.npy", "<f4");
    if (found.size() % (std::size_t(3) * settings.size * settings.size))
        throw Refusal((settings.folder / "proof").string() + " has inputs of another size: export the model again");
    return found;
}

std::string held(const Settings& settings, const std::vector<float>& logits) {
    const auto truth = values<double>(settings, "reference.npy", "<f8");
    const auto paddle = values<float>(settings, "paddle_fp32.npy", "<f4");
    if (truth.size() != logits.size() || paddle.size() != logits.size())
        throw Refusal((settings.folder / "proof").string() + " has another number of logits: export the model again");
    const auto finite = [](double one) { return std::isfinite(one); };
    if (!std::all_of(truth.begin(), truth.end(), finite) || !std::all_of(paddle.begin(), paddle.end(), finite))
        throw Refusal((settings.folder / "proof").string() + " has logits that are not finite: export the model again");
    double error = 0, own = 0, largest = 0;
    for (std::size_t i = 0; i < logits.size(); ++i) {
        error = std::max(error, std::abs(logits[i] - truth[i]));
        own = std::max(own, std::abs(paddle[i] - truth[i]));
        largest = std::max(largest, std::abs(truth[i]));
    }
    const bool by_paddle = settings.unit == "paddle";
    const double unit = by_paddle ? std::max(own, FLOOR * largest) : largest;
    char text[200];
    std::snprintf(text, sizeof text, "largest error %.2g, %.2g times %s; %g times is allowed", error, error / unit,
                  by_paddle ? "Paddle's own FP32 error" : "the largest logit", settings.tolerance);
    if (!(error <= settings.tolerance * unit)) throw Failure(text);
    return text;
}
