"""A model as a Paddle inference program, and from there to ONNX. The only room where Paddle is imported for work.

Its functions are called in a process of their own (see common/worker.py): Paddle takes seconds to import and prints.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import paddle
import paddle2onnx

from convert.common.errors import InputError
from convert.export import head, image_input
from convert.families.base import from_spec_table

PROGRAM, PARAMS = "inference.json", "inference.pdiparams"


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
    """Write a Paddle inference model as a Paddle 3 program and as ONNX with weights, from image to logits.

    job: {program, place, folder, onnx, opset, image_size}; program is an `inference.json`, or the `inference.pdmodel`
    of Paddle before 3; place is what messages call it; image_size may be null. Returns {notes, parameters (their
    names), head, batch (null for any), image_size (null where the model fixes it)}. InputError when the files cannot
    be read, or when what goes in or comes out is nothing that an artifact has.
    """
    source = Path(job["program"])
    paddle.enable_static()
    executor = paddle.static.Executor(paddle.CPUPlace())
    place = job["place"]
    program = _read_program(source, executor, place)
    operators = program.global_block().ops
    feeds = [op.results()[0] for op in operators if op.name() in ("pd_op.feed", "pd_op.data")]
    fetches = [op.operands_source()[0] for op in operators if op.name() in ("pd_op.fetch", "builtin.shadow_output")]
    if len(feeds) != 1 or (len(fetches) != 1 and not head.same_choice(fetches)) or not fetches:
        raise InputError(
            f"{place}: {len(feeds)} inputs and {len(fetches)} outputs; a classifier with one of each is needed"
        )
    parameters = [op.attrs()["parameter_name"] for op in operators if op.name() == "builtin.parameter"]
    found = head.find(fetches[0])
    _check_output(found.value, place)
    image = image_input.fix(program, feeds[0], job["image_size"], place)
    _join_shape_lists(program)
    folder = Path(job["folder"])
    prefix = str(folder / Path(PROGRAM).stem)
    paddle.static.save_inference_model(prefix, [image.value], [found.value], executor, program=program)
    _to_onnx(folder / PROGRAM, folder / PARAMS, Path(job["onnx"]), job["opset"])
    return {
        "notes": [*image.notes, *found.notes],
        "parameters": parameters,
        "head": found.kind,
        "batch": image.batch,
        "image_size": image.size,
    }


def _check_output(value: Any, place: str) -> None:
    kind, rank = str(value.dtype).removeprefix("paddle."), len(value.shape)
    if kind != "float32":
        raise InputError(f"{place}: its output is {kind}: float32 scores of classes, or features, are needed")
    if rank != 2:
        raise InputError(
            f"{place}: its output has {rank} dimension{'s' * (rank != 1)} instead of two, (batch, classes): "
            "export it with its head (class_num), without what comes behind the scores"
        )


def _read_program(source: Path, executor: Any, place: str) -> Any:
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
        raise InputError(
            f"Paddle cannot read {place} with its .pdiparams: damaged, or of another version of Paddle ({reason})"
        ) from error
    return program


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
