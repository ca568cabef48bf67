"""What the clients ask of the kernel: each in a process of its own, for it cannot be taken back."""

from __future__ import annotations

import os
import subprocess
import sys

from drills.load import punctual

READ_SLICE = """
import ctypes, gc, os
from drills.load import punctual
def slice_ns():
    attr = punctual._SchedAttr()
    number = {"x86_64": 315, "aarch64": 275}[os.uname().machine]
    assert ctypes.CDLL(None).syscall(number, 0, ctypes.byref(attr), ctypes.sizeof(attr), 0) == 0
    return attr.sched_runtime
before = slice_ns(), os.getpriority(os.PRIO_PROCESS, 0)
granted = punctual.be_punctual()
after = slice_ns(), os.getpriority(os.PRIO_PROCESS, 0)
print(granted, *before, *after, gc.get_freeze_count())
"""


def ran(script: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_a_short_slice_is_asked_for_and_nothing_else_changes() -> None:
    granted, slice_before, nice_before, slice_after, nice_after, frozen = ran(READ_SLICE)
    assert nice_before == nice_after
    assert int(frozen) > 1000
    # Before 6.12 the kernel takes the call and has nothing to change.
    assert granted == "True"
    if slice_before != "0":
        assert int(slice_after) == punctual.SLICE_NS


def test_giving_way_makes_a_process_nicer() -> None:
    own = os.getpriority(os.PRIO_PROCESS, 0)
    script = "import os; from drills.load import punctual; punctual.give_way(); print(os.getpriority(0, 0))"
    assert ran(script) == [str(max(own, punctual.NICENESS))]
    assert ran(script.replace("give_way()", "give_way(19); punctual.give_way()")) == ["19"], (
        "never less nice than before"
    )


def test_what_the_kernel_refuses_does_no_harm() -> None:
    refused = "import os; from drills.load import punctual; os.uname = lambda: type('U', (), {'machine': 'vax'})()\n"
    assert ran(refused + "print(punctual.short_slice(), punctual.be_punctual())") == ["False", "False"]
