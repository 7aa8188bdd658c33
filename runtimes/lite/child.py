"""Runs in the Python that has paddlelite, 3.6 to 3.8, so it knows nothing of vitbench and of newer Pythons.

A line of JSON comes: {"model", "params", "threads"}; then for each inference a line {"shape"} and the float32 values.
Back goes a line {"ready"}, and for each inference {"shapes"} and the values of all outputs; or {"error"}.
"""

import importlib
import json
import os
import sys
from typing import Any


def main() -> None:
    """Serve until the input ends."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what Paddle Lite prints is no answer

    def answer(table: Any, arrays: Any = ()) -> None:
        answers.write(json.dumps(table).encode() + b"\n")
        for array in arrays:
            answers.write(array.tobytes())
        answers.flush()

    try:
        import numpy

        lite = importlib.import_module("paddlelite.lite")
        job = json.loads(sys.stdin.buffer.readline().decode())
        config = lite.CxxConfig()
        config.set_model_file(job["model"])
        config.set_param_file(job["params"])
        precision = lite.PrecisionType.FP32
        config.set_valid_places([lite.Place(one, precision) for one in (lite.TargetType.X86, lite.TargetType.Host)])
        config.set_threads(job["threads"])
        predictor = lite.create_paddle_predictor(config)
        answer({"ready": True})
        for line in iter(sys.stdin.buffer.readline, b""):
            shape = json.loads(line.decode())["shape"]
            size = int(numpy.prod(shape))
            images = numpy.frombuffer(sys.stdin.buffer.read(4 * size), "<f4").reshape(shape)
            predictor.get_input(0).from_numpy(images)
            predictor.run()
            found = [predictor.get_output(i).numpy() for i in range(len(predictor.get_output_names()))]
            arrays = [numpy.ascontiguousarray(one, "<f4") for one in found]
            answer({"shapes": [list(one.shape) for one in arrays]}, arrays)
    except Exception as error:
        answer({"error": "%s: %s" % (type(error).__name__, error)})  # noqa: UP031 - as every Python knows it


if __name__ == "__main__":
    main()
