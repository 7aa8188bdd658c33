"""A Paddle model becomes a verified ONNX artifact."""

import os
import signal
import sys

if sys.argv[:1] == ["-m"] and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # for the few milliseconds that the next import takes

import convert.common  # noqa: F401 - Ctrl-C is quiet from the first import on

# ONNX Runtime would send events to Microsoft from a thread of the process that measures, and keep an identity in the
# user's home and a file in the temporary folder. It does not where this is set before its import (1.31, its pull
# request 27379).
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
