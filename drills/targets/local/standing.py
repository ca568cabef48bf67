"""Which target a drill runs on: the lab that is up, or one of its own that goes when the drill ends."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from drills.errors import HostError, TargetError, UsageError
from drills.faults import FAULTS
from drills.holding import holder
from drills.home import home
from drills.spec import Drill, Topology
from drills.targets.base import GpuFaultable, GpuSlowable
from drills.targets.local import doctor
from drills.targets.local.launching import bind
from drills.targets.local.target import LocalTarget, Progress


def standing_dir() -> Path:
    """Where the lab of ``recdr up`` lives."""
    return home() / "lab"


def standing() -> LocalTarget | None:
    """The lab that ``recdr up`` started, or None; the reference of a lab that died is removed."""
    target = seen()
    if target is None:
        (standing_dir() / "target.json").unlink(missing_ok=True)
    return target


def seen() -> LocalTarget | None:
    """The lab that ``recdr up`` started, or None; nothing is written or removed."""
    reference = standing_dir() / "target.json"
    if not reference.exists():
        return None
    target = LocalTarget.attach(reference)
    return target if target.alive() else None


@contextmanager
def open_lab(
    drill: Drill,
    bundle: Path,
    lab_dir: Path,
    *,
    accelerator: str | None = None,
    ephemeral: bool = False,
    port: int = 0,
    progress: Progress,
) -> Iterator[LocalTarget]:
    """The lab for a drill, deployed and unbroken; afterwards an ephemeral one is gone, a standing one unbroken."""
    topology = dataclasses.replace(drill.topology, accelerator=choose_accelerator(drill, accelerator))
    lab = None if ephemeral else standing()
    if lab is None:
        lab = LocalTarget(lab_dir, bundle, ephemeral=True, port=port, progress=progress)
        try:
            lab.deploy(topology)
            yield lab
        finally:
            lab.teardown()
        return
    _check_same(lab, topology, bundle, accelerator or drill.topology.accelerator)
    with exclusive(lab.lab_dir):
        unclaimed(lab)
        progress("using the lab that is up")
        lab.reset()
        try:
            yield lab
        finally:
            lab.reset()


def check(ephemeral: bool, port: int) -> None:
    """Raise HostError if no lab can run here; quick, and nothing is deployed."""
    if ephemeral or standing() is None:
        doctor.require()
        bind(port).close()


def check_accelerator(drill: Drill, wanted: str | None) -> None:
    """Raise HostError where a GPU is wanted and none is here, UsageError where one is to be broken and none is wanted.

    Wanted by the drill or, before it, the command line: ``wanted``.
    """
    chosen = choose_accelerator(drill, wanted)
    if chosen == "cpu" and (breaking := _breaking_accelerators(drill)):
        raise UsageError(
            f"{drill.path}: {breaking} needs an accelerator that can fail, and with accelerator cpu there is none: "
            "use simulated, or auto for a GPU where there is one"
        )
    if chosen == "cuda" and not doctor.gpu_present():
        raise HostError(
            f"{drill.path}: it is to run on an NVIDIA GPU (accelerator cuda), and this machine shows none: "
            "give the container its devices, or use --accelerator simulated"
        )


def choose_accelerator(drill: Drill | None, wanted: str | None) -> str:
    """``cuda``, ``cpu`` or ``simulated``: what was asked for, else the GPU where there is one.

    Without a GPU a drill that breaks one (and a lab that stays: ``drill`` None) gets a simulated one.
    """
    asked = wanted or (drill.topology.accelerator if drill else None) or "auto"
    if asked != "auto":
        return asked
    if doctor.gpu_present():
        return "cuda"
    return "simulated" if drill is None or _breaking_accelerators(drill) else "cpu"


def _breaking_accelerators(drill: Drill) -> str | None:
    """The first fault of the drill that breaks accelerators; None where it has none."""
    names = (use.name for uses in drill.injections for use in uses)
    return next((name for name in names if {GpuFaultable, GpuSlowable} & {*FAULTS[name].needs}), None)


@contextmanager
def exclusive(lab_dir: Path) -> Iterator[None]:
    """Hold the lab for one drill; the lock dies with its holder. Raises UsageError where another drill has it."""
    lab_dir.mkdir(parents=True, exist_ok=True)
    with (lab_dir / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            said = lock.read().strip()
            raise UsageError(
                f"another drill is running on this lab{holder(int(said) if said.isdigit() else None)}: "
                "wait for it, or add --ephemeral to run in a lab of its own"
            ) from None
        with contextlib.suppress(OSError):  # a full disk
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
        yield


def unclaimed(lab: LocalTarget) -> None:
    """Raise UsageError where another process is breaking the lab: a plain ``chaos run`` does so without the lock."""
    who = lab.held_by()
    if who:
        raise UsageError(
            f"{who} is breaking this lab: wait until it has ended, or add --ephemeral to run in a lab of its own"
        )


def misfits(lab: LocalTarget, wanted: Topology, bundle: Path | None, accelerator: str | None) -> list[str]:
    """In what the lab is not what is wanted, each as ``replication async instead of semisync``; empty where it fits.

    ``bundle`` None: any model will do; ``accelerator`` None or ``auto``: any will do.
    """
    have = lab.deployment
    counts = {region: len(nodes) for region, nodes in have.nodes.items()}
    asked = {"primary": wanted.primary.nodes, "standby": wanted.standby.nodes}
    differences = []
    if counts != asked:
        differences.append(f"nodes {counts} instead of {asked}")
    if have.replication != wanted.replication:
        differences.append(f"replication {have.replication} instead of {wanted.replication}")
    if accelerator not in (None, "auto") and have.accelerator != accelerator:
        differences.append(f"accelerator {have.accelerator} instead of {accelerator}")
    if bundle is not None and have.bundle != bundle:
        differences.append(f"another model than {bundle.name}")
    return differences


def _check_same(lab: LocalTarget, wanted: Topology, bundle: Path, accelerator: str | None) -> None:
    """Refuse a standing lab that is not what the drill describes."""
    if differences := misfits(lab, wanted, bundle, accelerator):
        raise UsageError(
            f"the lab that is up has {'; '.join(differences)}: "
            "add --ephemeral for a lab of its own, or end it with 'recdr down'"
        )


def down() -> bool:
    """End the standing lab; False where none was up. Raises UsageError while a drill runs on it."""
    lab = standing()
    if lab is None:
        return False
    with exclusive(lab.lab_dir):
        unclaimed(lab)
        lab.teardown()
    if lab.alive():
        raise TargetError("the lab did not end")
    return True
