"""What a drill runs against: a target that is up and unbroken, the people who use it, and what both are called."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from drills import model
from drills.home import cache
from drills.load.clients import Audience
from drills.model import Progress
from drills.spec import Drill, ServiceSettings
from drills.targets.base import Target
from drills.targets.external.claim import claim
from drills.targets.external.target import ExternalTarget
from drills.targets.local.standing import open_lab
from drills.targets.local.target import LocalTarget
from drills.targets.opening import Wanted
from recsvc.bundle import Bundle

# Which evaluation users the quality probe asks never changes, or no baseline could be used twice.
EVALUATION_SEED = 20


@dataclass(frozen=True)
class System:
    """``identity`` names what must be the same for two runs to be compared; ``about`` is for ``meta.json``."""

    target: Target
    audience: Audience
    identity: str
    about: dict[str, Any] = field(default_factory=dict)
    earlier: tuple[str, ...] = ()
    """The ids of the runs that used this very deployment before; it was brought back to where it was after each."""


@contextmanager
def open_system(
    drill: Drill, lab_dir: Path, wanted: Wanted, progress: Progress, admit: Callable[[str], None] = lambda _: None
) -> Iterator[System]:
    """What the drill names, up and unbroken; afterwards what was deployed for it is gone, and the rest unbroken.

    ``lab_dir`` lies in the run's directory. ``admit`` is told the identity before anything is deployed, and may raise.
    Raises UsageError, HostError or TargetError.
    """
    if drill.service is None:
        opened = _local(drill, lab_dir, wanted, progress, admit)
    else:
        admit(identity(drill.service))
        opened = _external(drill, lab_dir, progress)
    with opened as system:
        yield system


@contextmanager
def _local(
    drill: Drill, lab_dir: Path, wanted: Wanted, progress: Progress, admit: Callable[[str], None]
) -> Iterator[System]:
    bundle = Bundle.load(model.prepare(cache(), progress, wanted.model))
    admit(bundle.version)
    with open_lab(
        drill,
        bundle.path,
        lab_dir,
        accelerator=wanted.accelerator,
        ephemeral=wanted.ephemeral,
        port=wanted.port,
        progress=lambda what: progress(what, None, None),
    ) as lab:
        yield on_lab(lab, bundle, drill)


def on_lab(lab: LocalTarget, bundle: Bundle, drill: Drill, earlier: tuple[str, ...] = ()) -> System:
    """The deployed lab with the people that the drill wants on it."""
    audience = Audience.of(bundle, drill.probes.evaluation_users, EVALUATION_SEED)
    about = {
        "version": bundle.version,
        "data": bundle.data,
        "data_source": bundle.data_source,
        "synthetic": bundle.synthetic,
        "metrics": bundle.manifest.get("metrics"),
        "cut_short": bundle.cut_short,
    }
    return System(lab, audience, bundle.version, {"model": about, **lab.deployment.facts()}, earlier)


@contextmanager
def _external(drill: Drill, lab_dir: Path, progress: Progress) -> Iterator[System]:
    settings = drill.service
    assert settings is not None
    audience = Audience.of_service(settings, drill.probes.evaluation_users, EVALUATION_SEED)
    with claim(settings.edge):
        target = ExternalTarget(settings, lab_dir.parent, progress=lambda what: progress(what, None, None))
        target.deploy()  # what it does not bring up it takes down again
        try:
            name = identity(settings)
            about = {"name": settings.service.name, "identity": name, "edge": settings.edge}
            yield System(target, audience, name, {"service": about, **target.deployment.facts()})
        finally:
            target.leave()


def identity(settings: ServiceSettings) -> str:
    """The service's name with 16 hex digits over how it is asked and for whom; where it runs does not matter."""
    parts = [settings.service, settings.users, settings.items, settings.held_out, settings.personal]
    return f"{settings.service.name}-{hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:16]}"
