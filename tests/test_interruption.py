"""Requests to stop become one exception, at a moment when what was started is known."""

from __future__ import annotations

import os
import signal

import pytest

from drills.errors import Interrupted
from drills.interruption import held, interruptible


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_interrupts_and_is_noted(number: signal.Signals) -> None:
    noted: list[str] = []
    before = signal.getsignal(number)
    said = f"interrupted by {number.name}; nothing is left"
    with pytest.raises(Interrupted, match=said), interruptible("nothing is left", noted.append):
        os.kill(os.getpid(), number)
    assert noted == [number.name]
    assert signal.getsignal(number) is before


def test_what_is_held_is_finished_first() -> None:
    done = []
    with pytest.raises(Interrupted), interruptible("nothing is left"):
        with held():
            os.kill(os.getpid(), signal.SIGTERM)
            done.append("started and known")
        done.append("never reached")
    assert done == ["started and known"]


def test_what_was_interrupted_inside_is_brought_back_outside_without_another_interruption() -> None:
    before = signal.getsignal(signal.SIGINT)
    done = []
    with interruptible("the outer one heeds it when nothing stopped the inner one"):
        with interruptible("not interrupted"):
            pass
        with pytest.raises(Interrupted):
            os.kill(os.getpid(), signal.SIGINT)
    with interruptible("all is left as it was"):
        with pytest.raises(Interrupted), interruptible("the inner one"):
            os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        done.append("brought back")
    assert done == ["brought back"]
    assert signal.getsignal(signal.SIGINT) is before
