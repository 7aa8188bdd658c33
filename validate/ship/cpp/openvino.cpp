// OpenVINO, with the settings of vitbench's adapter.
#include <algorithm>
#include <openvino/runtime/core.hpp>
#include <openvino/runtime/properties.hpp>

#include "model.hpp"

namespace {

// Without the hint OpenVINO computes an FP32 model in bf16 on processors that can.
ov::element::Type hint(const Settings& settings, const std::vector<std::string>& able) {
    const auto has = [&able](const char* name) { return std::find(able.begin(), able.end(), name) != able.end(); };
    if (settings.precision == "fp32") return ov::element::f32;
    if (settings.precision == "int8") return has("BF16") ? ov::element::bf16 : ov::element::f32;  // of the rest
    if (settings.precision == "bf16" && has("BF16")) return ov::element::bf16;
    if (settings.precision == "fp16" && has("FP16")) return ov::element::f16;
    throw Refusal("this processor has no " + settings.precision + " for OpenVINO: export the model in fp32");
}

class OpenVino : public Model {
public:
    OpenVino(const Settings& settings, int threads, int batch) {
        ov::Core core;
        precision_ = hint(settings, core.get_property("CPU", ov::device::capabilities));
        ov::AnyMap properties = {ov::hint::inference_precision(precision_),
                                 ov::hint::performance_mode(ov::hint::PerformanceMode::LATENCY),
                                 ov::inference_num_threads(threads)};
        const auto known = core.get_property("CPU", ov::supported_properties);
        // Pieces of a layer that threads take from one another: faster in the lower precisions, and not in FP32.
        if (settings.precision != "fp32" && std::find(known.begin(), known.end(), "TBB_PARTITIONER") != known.end())
            properties["TBB_PARTITIONER"] = "AUTO";
        auto model = core.read_model(checked(settings, "model.onnx").string());
        check(*model, settings);
        shape_ = {std::size_t(batch), 3, std::size_t(settings.size), std::size_t(settings.size)};
        model->reshape(ov::PartialShape(shape_));  // shapes that are known are time saved
        compiled_ = core.compile_model(model, "CPU", properties);
        const auto taken = compiled_.get_property(ov::hint::inference_precision);
        if (taken != precision_)
            throw Refusal("OpenVINO computes in " + taken.to_string() + " instead of " + precision_.to_string());
        if (compiled_.output().get_shape() != ov::Shape{std::size_t(batch), std::size_t(settings.classes)})
            throw Refusal("model.onnx gives logits of the shape " + compiled_.output().get_shape().to_string());
        request_ = compiled_.create_infer_request();
    }

    const float* run(const float* images) override {
        request_.set_input_tensor(ov::Tensor(ov::element::f32, shape_, const_cast<float*>(images)));
        request_.infer();
        return request_.get_output_tensor().data<const float>();
    }

    std::string told() const override {
        return std::string("OpenVINO ") + ov::get_openvino_version().buildNumber + ", " + precision_.to_string() + ", " +
               std::to_string(compiled_.get_property(ov::inference_num_threads)) + " threads";
    }

private:
    static void check(const ov::Model& model, const Settings& settings) {
        if (model.inputs().size() != 1 || model.outputs().size() != 1)
            throw Refusal("model.onnx has not one input and one output: export the model again");
        const auto input = model.input(), output = model.output();
        const auto& shape = input.get_partial_shape();
        const bool same = input.get_names().count(settings.input) && output.get_names().count(settings.output) &&
                          input.get_element_type() == ov::element::f32 && output.get_element_type() == ov::element::f32 &&
                          shape.rank().is_static() && shape.size() == 4 && shape[1] == 3 && shape[2] == settings.size &&
                          shape[3] == settings.size && (shape[0].is_dynamic() ? 0 : shape[0].get_length()) == settings.batch;
        if (!same)
            throw Refusal("model.onnx takes " + input.get_any_name() + " " + shape.to_string() + " " +
                          input.get_element_type().to_string() + ", which is not what model.txt says: export it again");
    }

    ov::element::Type precision_;
    ov::Shape shape_;
    ov::CompiledModel compiled_;
    ov::InferRequest request_;
};

}  // namespace

std::unique_ptr<Model> open_model(const Settings& settings, int threads, int batch) {
    return std::make_unique<OpenVino>(settings, threads, batch);
}
