"""How an ability reaches the lab: by asking its PID 1, over the control socket."""

from __future__ import annotations

from typing import Any

from drills.targets.base import Deployment
from drills.targets.local import control


class Asking:
    """The part of the local target that every ability rests on."""

    _control = ""

    @property
    def deployment(self) -> Deployment:
        """What is deployed."""
        raise NotImplementedError

    def observe(self, node: str) -> dict[str, Any] | None:
        """What ``node`` says of itself, as seen from the edge; None where no answer came."""
        raise NotImplementedError

    def _ask(self, do: str, timeout_s: float = 15.0, **arguments: Any) -> Any:
        """PID 1's answer to a command; raises TargetError."""
        return control.call(self._control, do, timeout_s, **arguments)
