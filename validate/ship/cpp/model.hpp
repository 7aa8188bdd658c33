// What each runtime's file gives: a model that is loaded, and what the runtime says of how it computes.
#pragma once

#include <memory>
#include <string>

#include "settings.hpp"

class Model {
public:
    virtual ~Model() = default;

    // Logits (batch, classes) of images (batch, 3, size, size), both float32 and contiguous; they are the model's, and
    // there until the next run.
    virtual const float* run(const float* images) = 0;

    // The runtime's version, and precision and threads where it can be asked for them.
    virtual std::string told() const = 0;
};

// Refusal: the file is not the model that the settings describe, or the runtime cannot compute as they ask.
std::unique_ptr<Model> open_model(const Settings& settings, int threads, int batch);
