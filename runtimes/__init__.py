"""One file per runtime behind one small interface, and the bench."""

import sys

import convert  # noqa: F401 - Ctrl-C is quiet from the first import on

# OpenVINO's import would tell Google Analytics of itself, by a fork of the process that is about to measure, and keep
# an identity in the user's home. Without this package it does not (openvino/tools/ovc/telemetry_utils.py, 2026.4).
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
