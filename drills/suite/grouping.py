"""Which drills can share a lab: those that want the same nodes, the same replication and the same accelerator."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drills.engine import Options
from drills.spec import Drill, Topology
from drills.targets.external.target import ExternalTarget
from drills.targets.local.standing import choose_accelerator, misfits, seen


@dataclass(frozen=True)
class Group:
    """Drills that run one after another on one lab, in the order in which they were named.

    ``topology`` None: a drill of a service that recdr did not deploy; it is always by itself, for its own hooks deploy
    the service and take it down. ``standing``: the lab of ``recdr up`` is used, for it is what they want.
    """

    drills: tuple[Drill, ...]
    topology: Topology | None = None
    standing: bool = False


def groups(drills: Sequence[Drill], options: Options, bundle: Path | None = None) -> list[Group]:
    """The drills by the lab that they can share, in the order of each group's first drill; nothing is deployed.

    Where neither drill nor command line names an accelerator any will do, so drills that break one share the lab with
    drills that do not. ``bundle`` is the model that a standing lab must serve; None: it is not known yet.
    """
    found: dict[Any, list[Drill]] = {}
    for number, drill in enumerate(drills):
        found.setdefault(_key(drill, options) or number, []).append(drill)
    return [_group(tuple(here), options, bundle) for here in found.values()]


def _key(drill: Drill, options: Options) -> tuple[Any, ...] | None:
    if drill.target == ExternalTarget.kind:
        return None
    wanted = drill.topology
    return (wanted.primary.nodes, wanted.standby.nodes, wanted.replication, _asked(drill, options))


def _asked(drill: Drill, options: Options) -> str:
    return options.accelerator or drill.topology.accelerator or "auto"


def _group(drills: tuple[Drill, ...], options: Options, bundle: Path | None) -> Group:
    first = drills[0]
    if first.target == ExternalTarget.kind:
        return Group(drills)
    kinds = [choose_accelerator(drill, options.accelerator) for drill in drills]
    accelerator = next((kind for kind in kinds if kind != "cpu"), "cpu")
    topology = dataclasses.replace(first.topology, accelerator=accelerator)
    lab = None if options.ephemeral else seen()
    fits = lab is not None and not misfits(lab, topology, bundle, _asked(first, options))
    return Group(drills, topology, standing=fits)
