// Paddle Inference with oneDNN, with the settings of vitbench's adapter.
#include <paddle_inference_api.h>

#include <cstdlib>

#include "model.hpp"

namespace {

class Paddle : public Model {
public:
    Paddle(const Settings& settings, int threads, int batch) : shape_{batch, 3, settings.size, settings.size}, threads_(threads) {
        if (settings.precision != "fp32" && settings.precision != "bf16")
            throw Refusal("Paddle Inference has no " + settings.precision + " here: export the model in fp32 or bf16");
        const char* mode = std::getenv("ONEDNN_DEFAULT_FPMATH_MODE");
        if (mode && std::string(mode) != "STRICT")
            throw Refusal("ONEDNN_DEFAULT_FPMATH_MODE is set: FP32 would not be FP32; unset it");
        const auto program = checked(settings, "paddle/inference.json");
        const auto params = checked(settings, "paddle/inference.pdiparams");
        paddle_infer::Config config(program.string(), params.string());
        config.DisableGlogInfo();
        config.SetCpuMathLibraryNumThreads(threads);
        config.DisableGpu();
        config.EnableMKLDNN();
        if (settings.precision == "bf16") config.EnableMkldnnBfloat16();
        predictor_ = paddle_infer::CreatePredictor(config);
        const auto inputs = predictor_->GetInputNames(), outputs = predictor_->GetOutputNames();
        if (inputs.size() != 1 || outputs.size() != 1)
            throw Refusal(program.string() + " has not one input and one output: export the model again");
        input_ = predictor_->GetInputHandle(inputs[0]);
        output_ = predictor_->GetOutputHandle(outputs[0]);
        logits_.resize(std::size_t(batch) * settings.classes);
    }

    const float* run(const float* images) override {
        input_->Reshape(shape_);
        input_->CopyFromCpu(images);
        std::size_t count = 1;
        if (!predictor_->Run()) throw Refusal("Paddle Inference could not run the model");
        for (const int size : output_->shape()) count *= std::size_t(size);
        if (output_->type() != paddle_infer::DataType::FLOAT32 || count != logits_.size())
            throw Refusal("the Paddle program gives other logits than model.txt says: export the model again");
        output_->CopyToCpu(logits_.data());
        return logits_.data();
    }

    std::string told() const override {
        return "Paddle Inference " + paddle_infer::GetVersion() + ", " + std::to_string(threads_) + " threads asked for";
    }

private:
    std::vector<int> shape_;
    int threads_;
    std::shared_ptr<paddle_infer::Predictor> predictor_;
    std::unique_ptr<paddle_infer::Tensor> input_, output_;
    std::vector<float> logits_;
};

}  // namespace

std::unique_ptr<Model> open_model(const Settings& settings, int threads, int batch) {
    return std::make_unique<Paddle>(settings, threads, batch);
}
