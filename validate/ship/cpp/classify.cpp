// From image files to their five best classes; or from float32 to float32, to hold the logits against others'.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iostream>
#include <numeric>
#include <optional>
#include <sstream>
#include <thread>

#ifdef __linux__
#include <sched.h>
#endif

#include "model.hpp"
#include "preprocess.hpp"
#include "proof.hpp"

namespace fs = std::filesystem;

namespace {

const char USAGE[] =
    R"(usage: classify-RUNTIME IMAGE... [options]      five best classes of JPEG and PNG files
       classify-RUNTIME --tensor FILE [options] the same of float32 (n, 3, size, size), raw, little-endian
       classify-RUNTIME --check [options]       hold the logits of proof/ against Paddle's in float64
  --model FOLDER   the exported folder                                               [where it was built from]
  --batch N        images in one inference; the first ones fill up the last  [1, or what the model takes]
  --threads N      of an inference; 0: every core it may use                 [as model.txt says]
  --logits FILE    write them: float32 (n, classes), raw
  --save FILE      write the model's input as --tensor reads it
  --time N         repeat the first inference N times and say how long one takes
)";

struct Arguments {
    fs::path model = MODEL_FOLDER, tensor, logits, save;
    int batch = 0, time = 0;
    bool check = false;
    std::optional<int> threads;
    std::vector<fs::path> images;
};

int number(const std::string& option, const std::string& text, int least) {
    std::size_t end = 0;
    int value = -1;
    try {
        value = std::stoi(text, &end);
    } catch (const std::exception&) {
    }
    if (end != text.size() || value < least)
        throw Refusal(option + " " + text + ": a whole number from " + std::to_string(least) + " on is needed");
    return value;
}

Arguments parse(const std::vector<std::string>& words) {
    Arguments found;
    for (std::size_t i = 0; i < words.size(); ++i) {
        const std::string& word = words[i];
        const auto value = [&]() -> const std::string& {
            if (++i == words.size()) throw Refusal(word + " needs a value: see --help");
            return words[i];
        };
        if (word == "--model") found.model = value();
        else if (word == "--tensor") found.tensor = value();
        else if (word == "--logits") found.logits = value();
        else if (word == "--save") found.save = value();
        else if (word == "--batch") found.batch = number(word, value(), 1);
        else if (word == "--threads") found.threads = number(word, value(), 0);
        else if (word == "--time") found.time = number(word, value(), 1);
        else if (word == "--check") found.check = true;
        else if (word.rfind("--", 0) == 0) throw Refusal(word + ": there is no such option: see --help");
        else found.images.push_back(word);
    }
    if (!found.images.empty() + !found.tensor.empty() + found.check != 1)
        throw Refusal("images, --tensor FILE or --check is needed, and one of them only: see --help");
    return found;
}

int usable_cores() {
#ifdef __linux__
    cpu_set_t cores;  // which a container or taskset may have narrowed
    if (sched_getaffinity(0, sizeof cores, &cores) == 0) return CPU_COUNT(&cores);
#endif
    return std::max(1, int(std::thread::hardware_concurrency()));
}

int batch_size(const Arguments& arguments, const Settings& settings) {
    const int batch = arguments.batch ? arguments.batch : std::max(1, settings.batch);
    if (settings.batch && batch != settings.batch)
        throw Refusal("--batch " + std::to_string(batch) + ": the model takes " + std::to_string(settings.batch) + " only");
    return batch;
}

// The model's input of all images, one after another.
std::vector<float> inputs(const Arguments& arguments, const Settings& settings) {
    const std::size_t each = std::size_t(3) * settings.size * settings.size;
    std::vector<float> values;
    if (arguments.check) return proof_inputs(settings);
    if (!arguments.tensor.empty()) {
        const auto bytes = read_bytes(arguments.tensor);
        if (bytes.empty() || bytes.size() % (each * sizeof(float)))
            throw Refusal(arguments.tensor.string() + " has " + std::to_string(bytes.size()) + " bytes, which is no multiple of " +
                          std::to_string(each * sizeof(float)) + ", one image of float32");
        values.resize(bytes.size() / sizeof(float));
        std::memcpy(values.data(), bytes.data(), bytes.size());
        if (!std::all_of(values.begin(), values.end(), [](float one) { return std::isfinite(one); }))
            throw Refusal(arguments.tensor.string() + " has values that are not finite: float32, little-endian, is needed");
        return values;
    }
    values.resize(arguments.images.size() * each);
    for (std::size_t i = 0; i < arguments.images.size(); ++i)
        preprocess(decode(arguments.images[i]), settings.preprocessing, &values[i * each], arguments.images[i]);
    return values;
}

void write(const fs::path& file, const std::vector<float>& values) {
    if (file.empty()) return;
    std::ofstream stream(file, std::ios::binary);
    stream.write(reinterpret_cast<const char*>(values.data()), std::streamsize(values.size() * sizeof(float)));
    stream.close();
    if (!stream) throw Refusal(file.string() + " cannot be written");
}

// Of one class: a share of all by Softmax, or for a model of several classes an image its own by Sigmoid.
double probability(const Settings& settings, const float* logits, int label) {
    if (settings.head == "multi-label") return 1 / (1 + std::exp(-double(logits[label])));
    const double most = *std::max_element(logits, logits + settings.classes);
    const auto add = [most](double sum, float one) { return sum + std::exp(one - most); };
    return std::exp(logits[label] - most) / std::accumulate(logits, logits + settings.classes, 0.0, add);
}

void print(const std::string& title, const Settings& settings, const float* logits) {
    std::vector<int> order(settings.classes);
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [logits](int a, int b) { return logits[a] > logits[b]; });
    order.resize(std::min<std::size_t>(5, order.size()));
    std::printf("%s\n", title.c_str());
    for (const int label : order)
        std::printf("  %6.2f %%  %5d  %s\n", 100 * probability(settings, logits, label), label,
                    settings.labels.empty() ? "" : settings.labels[label].c_str());
}

void time(Model& model, const std::vector<float>& images, std::size_t each, const Arguments& arguments, int batch) {
    std::vector<float> first(batch * each);
    for (std::size_t i = 0; i < first.size(); ++i) first[i] = images[i % images.size()];
    std::vector<double> taken;
    for (int i = 0; i < arguments.time; ++i) {
        const auto start = std::chrono::steady_clock::now();
        model.run(first.data());
        taken.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
    }
    std::sort(taken.begin(), taken.end());
    std::printf("%.3f ms median, %.3f ms least, of %d inferences of %d images: %s\n", taken[taken.size() / 2], taken[0],
                arguments.time, batch, model.told().c_str());
}

void run(const Arguments& arguments) {
    const std::uint16_t one = 1;
    if (!*reinterpret_cast<const unsigned char*>(&one)) throw Refusal("this machine is not little-endian");
    const Settings settings = read_settings(arguments.model);
    if (settings.head == "features" && arguments.logits.empty() && !arguments.time && !arguments.check)
        throw Refusal("the model gives features and no classes: write them with --logits FILE");
    const int batch = batch_size(arguments, settings), asked = arguments.threads.value_or(settings.threads);
    const std::vector<float> images = inputs(arguments, settings);
    const std::size_t each = std::size_t(3) * settings.size * settings.size, count = images.size() / each;
    write(arguments.save, images);
    const auto model = open_model(settings, asked ? asked : usable_cores(), batch);
    std::vector<float> logits;
    for (std::size_t i = 0; i < count; i += batch) {
        std::vector<float> chunk;
        for (std::size_t k = i; k < i + batch; ++k)
            chunk.insert(chunk.end(), &images[k % count * each], &images[k % count * each] + each);
        const float* found = model->run(chunk.data());
        logits.insert(logits.end(), found, found + std::min<std::size_t>(batch, count - i) * settings.classes);
    }
    const auto wrong = std::count_if(logits.begin(), logits.end(), [](float value) { return !std::isfinite(value); });
    if (wrong) throw Failure(std::to_string(wrong) + " logits are not finite: this model does not run right here");
    write(arguments.logits, logits);
    if (arguments.check) return std::puts(held(settings, logits).c_str()), void();
    if (arguments.time) return time(*model, images, each, arguments, batch);
    if (settings.head == "features") return;
    for (std::size_t i = 0; i < count; ++i)
        print(arguments.images.empty() ? "image " + std::to_string(i) : arguments.images[i].string(), settings,
              &logits[i * settings.classes]);
}

// Runtimes tell of their errors in several lines.
std::string one_line(const std::string& text) {
    std::istringstream words(text);
    std::string line;
    for (std::string word; words >> word && line.size() < 500;) line += (line.empty() ? "" : " ") + word;
    return line;
}

}  // namespace

int main(int count, char** words) {
    const std::vector<std::string> arguments(words + 1, words + count);
    if (arguments.empty() || std::find(arguments.begin(), arguments.end(), "--help") != arguments.end()) {
        std::cout << USAGE;
        return arguments.empty() ? 2 : 0;
    }
    try {
        run(parse(arguments));
        return 0;
    } catch (const Failure& error) {
        std::cerr << "failed: " << error.what() << "\n";
        return 1;
    } catch (const std::exception& error) {
        std::cerr << "error: " << one_line(error.what()) << "\n";
        return 2;
    }
}
