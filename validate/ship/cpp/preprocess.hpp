// From an image file to the model's input, in the arithmetic of PaddleClas' evaluation.
#pragma once

#include <cstddef>
#include <filesystem>
#include <vector>

#include "settings.hpp"

// Pixels of 8 bits, (height, width, 3), RGB.
struct Image {
    int width = 0, height = 0;
    std::vector<unsigned char> pixels;

    Image() = default;
    Image(int w, int h) : width(w), height(h), pixels(std::size_t(w) * h * 3) {}
    const unsigned char* row(int y) const { return &pixels[std::size_t(y) * width * 3]; }
    unsigned char* row(int y) { return &pixels[std::size_t(y) * width * 3]; }
};

// Turned as the EXIF orientation says. Refusal when the file is no image, is damaged or is too large.
Image decode(const std::filesystem::path& file);

// (3, crop, crop) float32, RGB, to `out`. Refusal when this program cannot resize so, or the image is too long a strip.
void preprocess(const Image& image, const Preprocessing& settings, float* out, const std::filesystem::path& file);
