// The proof that the exported folder carries: inputs, and the logits that Paddle computes of them in float64.
#pragma once

#include <string>
#include <vector>

#include "settings.hpp"

// Refusal: the folder has no proof, or one of another shape than the model.
std::vector<float> proof_inputs(const Settings& settings);

// How far logits of those inputs are from Paddle's, in a line. Failure when it is further than model.txt allows.
std::string held(const Settings& settings, const std::vector<float>& logits);
