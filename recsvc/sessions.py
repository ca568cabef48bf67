"""How every onnxruntime session here is opened."""

from __future__ import annotations

from pathlib import Path

import onnxruntime

CPU = "CPUExecutionProvider"
_ERRORS_ONLY = 3


def options(threads: int) -> onnxruntime.SessionOptions:
    """Return a session's options; ``threads`` compute together, the calling one among them."""
    made = onnxruntime.SessionOptions()
    made.intra_op_num_threads = threads
    made.inter_op_num_threads = 1
    # Several nodes share the cores: a thread that spins while it waits takes them from the others.
    made.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # It warns that an input with a default is no constant, which is what such an input is for.
    made.log_severity_level = _ERRORS_ONLY
    return made


def on_cpu(path: Path, threads: int) -> onnxruntime.InferenceSession:
    """Open a graph file on the CPU."""
    return onnxruntime.InferenceSession(str(path), options(threads), providers=[CPU])
