"""Breaks this process's own CUDA context for good, as an application error (XID 13) does.

A kernel of one `trap` instruction runs in the device's primary context, which is the one that onnxruntime
uses. The error is sticky: every later CUDA call of this process fails, other processes and the device itself
are untouched, and only a restart of the process helps.

NOT YET RUN ON HARDWARE: written against the driver API's documentation, on a machine without a GPU.
"""

from __future__ import annotations

import ctypes

PTX = b"""
.version 6.0
.target sm_50
.address_size 64
.visible .entry trap_kernel() { trap; ret; }
"""
CUDA_SUCCESS = 0


class TrapError(Exception):
    """The trap could not be sprung; ``str()`` names the driver call that failed and its CUresult."""


def device_present() -> bool:
    """Whether the CUDA driver is there and sees a device. Creates no context."""
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    count = ctypes.c_int()
    return (
        cuda.cuInit(0) == CUDA_SUCCESS
        and cuda.cuDeviceGetCount(ctypes.byref(count)) == CUDA_SUCCESS
        and (count.value > 0)
    )


def spring(device: int = 0) -> int:
    """Run the trap kernel; return the CUresult that the context answers with from now on (719 or 715).

    Raises `TrapError` when the context is as sound as before.
    """
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError as error:
        raise TrapError(f"libcuda.so.1 cannot be loaded: {error}") from error
    handle, context = ctypes.c_int(), ctypes.c_void_p()
    module, kernel = ctypes.c_void_p(), ctypes.c_void_p()
    _check(cuda, "cuInit", ctypes.c_uint(0))
    _check(cuda, "cuDeviceGet", ctypes.byref(handle), ctypes.c_int(device))
    _check(cuda, "cuDevicePrimaryCtxRetain", ctypes.byref(context), handle)
    _check(cuda, "cuCtxSetCurrent", context)
    _check(cuda, "cuModuleLoadData", ctypes.byref(module), ctypes.c_char_p(PTX))
    _check(cuda, "cuModuleGetFunction", ctypes.byref(kernel), module, ctypes.c_char_p(b"trap_kernel"))
    one, no_memory, no_stream = ctypes.c_uint(1), ctypes.c_uint(0), ctypes.c_void_p()
    grid_and_block = (one, one, one, one, one, one)
    _check(cuda, "cuLaunchKernel", kernel, *grid_and_block, no_memory, no_stream, None, None)
    result = int(cuda.cuCtxSynchronize())
    if result == CUDA_SUCCESS:
        raise TrapError("cuCtxSynchronize: the kernel ran without an error")
    return result


def _check(cuda: ctypes.CDLL, call: str, *arguments: object) -> None:
    result = int(getattr(cuda, call)(*arguments))
    if result != CUDA_SUCCESS:
        raise TrapError(f"{call} failed with CUresult {result}")


def bus_id(device: int = 0) -> str | None:
    """The PCI address of a CUDA device, such as ``0000:65:00.0``, by which NVML knows it, too; None where unknown."""
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None
    text = ctypes.create_string_buffer(32)
    if cuda.cuInit(0) or cuda.cuDeviceGetPCIBusId(text, ctypes.c_int(len(text)), ctypes.c_int(device)):
        return None
    return text.value.decode()
