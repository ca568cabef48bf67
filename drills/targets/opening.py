"""Whether a drill can run on its target at all: said before anything is deployed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from drills.errors import HostError, UsageError
from drills.faults import FAULTS
from drills.spec import Drill
from drills.spec.model import FaultUse
from drills.targets.external.target import ExternalTarget
from drills.targets.local import standing
from drills.targets.registry import KINDS

HOOKS_MODULE = "drills.faults.hooks"


@dataclass(frozen=True)
class Wanted:
    """What the command line says about the target, beyond the drill file."""

    accelerator: str | None = None
    ephemeral: bool = False
    port: int = 0
    model: str | None = None


def check(drill: Drill, wanted: Wanted) -> None:
    """Raise UsageError or HostError if the drill cannot run here as wanted; quick, and nothing is deployed."""
    check_drill(drill, wanted)
    if drill.target != ExternalTarget.kind:
        standing.check(wanted.ephemeral, wanted.port)


def check_drill(drill: Drill, wanted: Wanted) -> None:
    """As ``check``, but for whether any lab at all can run here."""
    check_abilities(drill)
    check_hooks(drill)
    if drill.target != ExternalTarget.kind:
        standing.check_accelerator(drill, wanted.accelerator)
    elif wanted != Wanted():
        raise UsageError("--accelerator, --ephemeral, --port and --model are for recdr's own lab; this drill has none")


def check_abilities(drill: Drill) -> None:
    """Raise UsageError if a fault of the drill needs an ability that its target lacks, HostError if this host does."""
    kind = KINDS[drill.target]
    for use in (use for uses in drill.injections for use in uses):
        for need in needs_of(use):
            missing = [name for name in vars(need) if not name.startswith("_") and not hasattr(kind, name)]
            if missing:
                raise UsageError(
                    f"{drill.path}:{use.line}: the fault {use.name} needs a target that is {need.__name__}, which the "
                    f"{kind.kind} target is not (it lacks {', '.join(missing)}). {_ALTERNATIVE}"
                )
            if why := kind.lacks(need):
                raise HostError(f"{drill.path}:{use.line}: the fault {use.name} cannot be injected here: {why}")


def needs_of(use: FaultUse) -> tuple[type, ...]:
    """The abilities that a target must have for this use of a fault; some depend on its arguments."""
    return needs_with(use.name, use.arguments)


def needs_with(fault: str, arguments: Mapping[str, Any]) -> tuple[type, ...]:
    """The abilities that a target must have for the fault of that name with these arguments."""
    kind = FAULTS[fault]
    needs_for = getattr(kind, "needs_for", None)
    return (*kind.needs, *(needs_for(arguments) if needs_for else ()))


def check_hooks(drill: Drill) -> None:
    """Raise UsageError if the method runs a hook that the drill does not have."""
    known = drill.service.hooks if drill.service else {}
    for step in drill.experiment["method"]:
        provider = step.get("provider", {})
        if provider.get("module") == HOOKS_MODULE and provider.get("func") not in known:
            raise UsageError(
                f"{drill.path}: {step.get('name')}: the drill has no hook {provider.get('func')!r}: "
                f"add it to service.hooks (there are: {', '.join(known) or 'none'})"
            )


_ALTERNATIVE = "With drills.faults.custom a command of your own breaks it and another one heals it."
