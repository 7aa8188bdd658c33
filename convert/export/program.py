"""A model as a Paddle inference program, and from there to ONNX. The only room where Paddle is imported for work.

Its functions are called in a process of their own (see common/worker.py): Paddle takes seconds to import and prints.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import paddle
import paddle2onnx

from convert.common.errors import InputError
from convert.families.base import from_spec_table

PROGRAM, PARAMS = "inference.json", "inference.pdiparams"
# Operators that pass their input on: old programs end in one (`save_infer_model/scale_0`).
_PASS_ON = ("pd_op.scale", "pd_op.assign", "pd_op.share_data_")


def export_spec(job: dict[str, Any]) -> dict[str, Any]:
    """Write the Paddle program of a spec and its ONNX graph, both without weights.

    job: {spec, folder, onnx, opset}. The weights are attached later under their state-dict names, which the graph
    refers to: so no weight is held in memory here, and none is initialised in vain.
    """
    spec = from_spec_table(job["spec"])
    paddle.enable_static()
    program = paddle.static.Program()
    with paddle.static.program_guard(program, paddle.static.Program()):
        x = paddle.static.data("x", [-1, 3, spec.img_size, spec.img_size], "float32")
        layer = spec.paddle_layer()
        layer.eval()
        program = paddle.static.normalize_program(program, [x], [layer(x)])
    path = Path(job["folder"]) / PROGRAM
    paddle.save(program, str(path))
    _to_onnx(path, None, Path(job["onnx"]), job["opset"])
    return {}


def export_folder(job: dict[str, Any]) -> dict[str, Any]:
    """Write a Paddle inference model, without a trailing Softmax, as a Paddle 3 program and as ONNX with weights.

    job: {program, folder, onnx, opset}; program is an `inference.json`, or the `inference.pdmodel` of Paddle
    before 3. Returns {notes, parameters (their names)}. InputError when the files cannot be read, or when there is not
    one input and one output.
    """
    source = Path(job["program"])
    paddle.enable_static()
    executor = paddle.static.Executor(paddle.CPUPlace())
    program = _read_program(source, executor)
    operators = program.global_block().ops
    feeds = [op.results()[0] for op in operators if op.name() in ("pd_op.feed", "pd_op.data")]
    fetches = [op.operands_source()[0] for op in operators if op.name() in ("pd_op.fetch", "builtin.shadow_output")]
    if len(feeds) != 1 or len(fetches) != 1:
        raise InputError(
            f"{source}: {len(feeds)} inputs and {len(fetches)} outputs; a classifier with one of each is needed"
        )
    logits, cut = _before_softmax(fetches[0])
    _join_shape_lists(program)
    folder = Path(job["folder"])
    paddle.static.save_inference_model(str(folder / Path(PROGRAM).stem), feeds, [logits], executor, program=program)
    _to_onnx(folder / PROGRAM, folder / PARAMS, Path(job["onnx"]), job["opset"])
    parameters = [op.attrs()["parameter_name"] for op in operators if op.name() == "builtin.parameter"]
    notes = ["a trailing Softmax was cut: the outputs are logits"] if cut else []
    return {"notes": notes, "parameters": parameters}


def _read_program(source: Path, executor: Any) -> Any:
    prefix = str(source.with_suffix(""))
    try:
        if source.suffix == ".json":
            return paddle.static.load_inference_model(prefix, executor)[0]
        with paddle.pir_utils.OldIrGuard():
            old = paddle.static.load_inference_model(prefix, executor)[0]
        program = paddle.pir.translate_to_pir(old.desc)
        paddle2onnx.load_parameter(program)
    except Exception as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        reason = next((line for line in reversed(lines) if "Error" in line), lines[-1] if lines else repr(error))
        raise InputError(f"Paddle cannot read {source} with its .pdiparams: {reason}") from error
    return program


def _before_softmax(value: Any) -> tuple[Any, bool]:
    """The logits behind a trailing Softmax and whether there was one."""
    operator = value.get_defining_op()
    while operator.name() in _PASS_ON:
        operator = operator.operands_source()[0].get_defining_op()
    if operator.name() != "pd_op.softmax":
        return value, False
    return operator.operands_source()[0], True


def _join_shape_lists(program: Any) -> None:
    """Give `expand` its shape as one tensor instead of a list of them.

    A program of Paddle before 3 (PaddleClas' `cls_token.expand`) has a list there, which crashes Paddle2ONNX 2.1.0.
    """
    for operator in program.global_block().ops:
        if operator.name() != "pd_op.expand":
            continue
        sizes = operator.operands_source()[1].get_defining_op()
        if sizes.name() == "builtin.combine":
            with paddle.static.program_guard(program):
                paddle.pir.set_insertion_point(operator)
                joined = paddle.concat([paddle.reshape(size, [1]) for size in sizes.operands_source()])
            operator.operand(1).set_source(joined)


def _to_onnx(program: Path, params: Path | None, onnx: Path, opset: int) -> None:
    # optimize_tool's default installs a package at run time. The checker cannot know weights that come later: the
    # whole graph is checked in graph.py instead.
    model = paddle2onnx.export(
        str(program),
        str(params) if params else "",
        None,
        opset_version=opset,
        auto_upgrade_opset=False,
        enable_onnx_checker=False,
        optimize_tool=None,
    )
    # Paddle2ONNX logs its own exceptions and returns nothing.
    if not model:
        raise RuntimeError(f"Paddle2ONNX gave no model at opset {opset}; its reason is in the log above")
    onnx.write_bytes(model)
