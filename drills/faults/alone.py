"""The dead-man's switch of a plain ``chaos run``: the process that breaks a lab says that it is still there.

Inside ``recdr drill run`` the run itself does that. Here a thread of Chaos Toolkit's process does, from the first fault
on; a fault that is still in force when the process ends, or stops, is healed by the lab one lease later.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
import time
from typing import Any

from drills.errors import TargetError
from drills.home import home
from drills.targets.base import Leased
from drills.undo import RUN_VARIABLE, unhealed

LEASE_S = 15.0
EVERY_S = 1.0
THREAD = "lease of this process"


def hold(target: Any) -> None:
    """Hold ``target``'s lease from now on, unless this is a run's process or the target has none.

    Raises TargetError where a drill, or another ``chaos run``, is breaking the target.
    """
    if RUN_VARIABLE in os.environ or not isinstance(target, Leased):
        return
    target.renew(LEASE_S)
    if not any(thread.name == THREAD for thread in threading.enumerate()):
        threading.Thread(target=_renew, args=(target,), name=THREAD, daemon=True).start()
        atexit.register(_let_go, target)


def _renew(target: Leased) -> None:
    while True:
        time.sleep(EVERY_S)
        with contextlib.suppress(TargetError):  # a lab that has healed itself refuses the next fault and says why
            target.renew(LEASE_S)


def _let_go(target: Leased) -> None:
    """Nothing is broken any more: nobody needs to be heard from. Else the lease runs out, and the lab heals itself."""
    if not unhealed(home() / "lab"):
        with contextlib.suppress(TargetError):
            target.release()
