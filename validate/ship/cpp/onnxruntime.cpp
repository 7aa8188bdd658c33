// ONNX Runtime on its CPU provider, with the settings of vitbench's adapter.
#define ORT_API_MANUAL_INIT
#include <onnxruntime_cxx_api.h>

#include <array>

#include "model.hpp"

namespace {

// The header's functions, from a library that may be another one's: an older one has fewer of them.
void load_api() {
    const OrtApiBase* base = OrtGetApiBase();
    if (!base->GetApi(ORT_API_VERSION))
        throw Refusal(std::string("the library is ONNX Runtime ") + base->GetVersionString() + ", and the header is of version 1." +
                      std::to_string(ORT_API_VERSION) + ": take those of one release");
    Ort::InitApi();
}

class OnnxRuntime : public Model {
public:
    OnnxRuntime(const Settings& settings, int threads, int batch)
        : input_(settings.input), output_(settings.output), shape_{batch, 3, settings.size, settings.size}, threads_(threads) {
        environment_ = Ort::Env(ORT_LOGGING_LEVEL_ERROR, "classify");
        Ort::SessionOptions options;
        options.SetIntraOpNumThreads(threads);
        options.SetInterOpNumThreads(1);
        // Without it int8 sums saturate on processors without VNNI, but for those of a portable model: it only costs
        // that one time there, and model.onnx does not say which it is.
        options.AddConfigEntry("session.x64quantprecision", "1");
        session_ = Ort::Session(environment_, checked(settings, "model.onnx").c_str(), options);
        if (session_.GetInputCount() != 1 || session_.GetOutputCount() != 1)
            throw Refusal("model.onnx has not one input and one output: export the model again");
        const std::vector<std::int64_t> images = {settings.batch, 3, settings.size, settings.size};
        const std::vector<std::int64_t> logits = {settings.batch, settings.classes};
        check(session_.GetInputTypeInfo(0), images, "input");
        check(session_.GetOutputTypeInfo(0), logits, "output");
        images_ = std::size_t(batch) * 3 * settings.size * settings.size;
        logits_ = std::size_t(batch) * settings.classes;
    }

    const float* run(const float* images) override {
        const auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
        const auto input =
            Ort::Value::CreateTensor<float>(memory, const_cast<float*>(images), images_, shape_.data(), shape_.size());
        const char *in = input_.c_str(), *out = output_.c_str();
        result_ = session_.Run(Ort::RunOptions{nullptr}, &in, &input, 1, &out, 1);
        if (result_[0].GetTensorTypeAndShapeInfo().GetElementCount() != logits_)
            throw Refusal("model.onnx gives another number of logits than model.txt says: export the model again");
        return result_[0].GetTensorData<float>();
    }

    std::string told() const override {
        return std::string("ONNX Runtime ") + OrtGetApiBase()->GetVersionString() + ", " + std::to_string(threads_) +
               " threads asked for";
    }

private:
    // wanted: 0 stands first where the batch is free.
    static void check(const Ort::TypeInfo& type, const std::vector<std::int64_t>& wanted, const std::string& what) {
        const auto tensor = type.GetTensorTypeAndShapeInfo();
        auto shape = tensor.GetShape();
        if (!shape.empty() && shape[0] < 0) shape[0] = 0;
        if (tensor.GetElementType() != ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT || shape != wanted)
            throw Refusal("the " + what + " of model.onnx has not the type or shape that model.txt says: export it again");
    }

    std::string input_, output_;
    std::array<std::int64_t, 4> shape_;
    int threads_;
    std::size_t images_ = 0, logits_ = 0;
    Ort::Env environment_{nullptr};
    Ort::Session session_{nullptr};
    std::vector<Ort::Value> result_;
};

}  // namespace

std::unique_ptr<Model> open_model(const Settings& settings, int threads, int batch) {
    // Before there is an object of ONNX Runtime: none can be destroyed before the functions are loaded.
    if (settings.precision != "fp32" && settings.precision != "int8")
        throw Refusal("ONNX Runtime has no " + settings.precision + " on a CPU: export the model in fp32 or int8");
    load_api();
    return std::make_unique<OnnxRuntime>(settings, threads, batch);
}
