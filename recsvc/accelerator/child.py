"""The process that holds the accelerator's sessions: ``python -m recsvc.accelerator.child SETTINGS``.

Whatever a driver does to it, the node and its sockets live on. It ends with its parent: by a signal where the kernel
sends one, and where its socket says that nobody is there.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import sys
from pathlib import Path

import msgspec
from onnxruntime.capi.onnxruntime_pybind11_state import Fail, RuntimeException

from recsvc import gpu_trap
from recsvc.accelerator.device import Boundary
from recsvc.accelerator.memory import Ask, Memory, Reply
from recsvc.accelerator.session import NoCuda, SessionDevice, SimulatedDevice, open_cuda

PR_SET_PDEATHSIG = 1
LOST = (Fail, RuntimeException, NoCuda, gpu_trap.TrapError)
MESSAGE_BYTES = 65_536


class Settings(msgspec.Struct):
    """What the node starts it with; ``socket``, ``inputs`` and ``outputs`` are inherited descriptors."""

    device: str
    graphs: dict[str, str]
    threads: int
    parent: int
    socket: int
    inputs: int
    outputs: int


def main() -> int:
    settings = msgspec.json.decode(sys.argv[1], type=Settings)
    _die_with(settings.parent)
    for number in (signal.SIGINT, signal.SIGTERM):  # meant for the node, which drains first
        signal.signal(number, signal.SIG_IGN)
    boundary = Boundary()
    with socket.socket(fileno=settings.socket) as node:
        try:
            device = _open(settings, boundary)
        except Exception as error:  # whatever a driver or a model raises, the node reads it in the first reply
            node.send(msgspec.msgpack.encode(Reply(0, [], 0, str(error), lost=True)))
            return 1
        node.send(msgspec.msgpack.encode(Reply(0, [], 0, bus_id=_bus_id(settings.device))))
        _serve(node, device, boundary, Memory(settings.inputs), Memory(settings.outputs))
    return 0


def _die_with(parent: int) -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it has died in between
        sys.exit(1)


def _open(settings: Settings, boundary: Boundary) -> SessionDevice:
    graphs = {name: Path(path) for name, path in settings.graphs.items()}
    if settings.device == "cuda":
        return open_cuda(graphs, settings.threads)
    return SimulatedDevice(graphs, settings.threads, boundary)


def _bus_id(device: str) -> str | None:
    return gpu_trap.bus_id() if device == "cuda" else None


def _serve(node: socket.socket, device: SessionDevice, boundary: Boundary, inputs: Memory, outputs: Memory) -> None:
    decode = msgspec.msgpack.Decoder(Ask).decode
    encode = msgspec.msgpack.Encoder().encode
    while message := node.recv(MESSAGE_BYTES):
        ask = decode(message)
        boundary.failed = ask.failed
        inputs.see(ask.held)
        node.send(encode(_answer(ask, device, inputs, outputs)))


def _answer(ask: Ask, device: SessionDevice, inputs: Memory, outputs: Memory) -> Reply:
    try:
        if ask.trap:
            return Reply(ask.number, [], outputs.held, bus_id=str(gpu_trap.spring()))
        placed = outputs.write(device.run(inputs.read(ask.arrays), ask.graph))
    except LOST as error:
        return Reply(ask.number, [], outputs.held, str(error), lost=not ask.trap)
    except Exception as error:  # the run's own mistake, which the node raises where it asked for the run
        return Reply(ask.number, [], outputs.held, str(error))
    return Reply(ask.number, placed, outputs.held)


if __name__ == "__main__":
    sys.exit(main())
