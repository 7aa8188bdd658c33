// What the programs know of the model: model.txt, which the export wrote, and labels.txt.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

// The input or the usage is wrong, or this machine lacks something: the message says what, where and what to do.
struct Refusal : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// A check did not hold.
struct Failure : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// How an image becomes the model's input. mean, std: of each channel in RGB order, of pixels from 0 to 1; scale: what
// pixels of 0 to 255 are multiplied with before 255 * scale times as much of both is applied.
struct Preprocessing {
    int resize_short = 0, crop = 0;
    bool keep_ratio = true;
    std::string interpolation;
    double mean[3] = {}, std[3] = {}, scale = 0;
};

// batch: the one that the model takes; 0 where it takes any. threads: 0 means every core that this process may use.
// tolerance: of a logit's error, in units: Paddle's own FP32 error (paddle) or the largest logit (largest).
// files: bytes of each by its path. labels: empty where there is no labels.txt.
struct Settings {
    std::filesystem::path folder;
    std::string model, precision, head, input, output;
    int size = 0, classes = 0, batch = 0, threads = 0;
    Preprocessing preprocessing;
    double tolerance = 0;
    std::string unit;
    std::map<std::string, std::uintmax_t> files;
    std::vector<std::string> labels;
};

// Refusal: a line is missing, unknown or wrong, or there are not as many labels as classes.
Settings read_settings(const std::filesystem::path& folder);

// Where a file of the model is. Refusal when it, or one whose name begins so (model.onnx.data), is missing or has not
// the size that it was written with.
std::filesystem::path checked(const Settings& settings, const std::string& name);

// A file's bytes. Refusal when it cannot be read.
std::vector<unsigned char> read_bytes(const std::filesystem::path& file);
