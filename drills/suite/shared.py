"""A lab that drills use one after another: brought back to where it was in between, replaced where that fails."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path

from drills.errors import TargetError
from drills.interruption import held
from drills.model import Progress
from drills.recording.rundir import RunDir
from drills.spec import Drill
from drills.suite.document import LabUse
from drills.suite.grouping import Group
from drills.system import System, on_lab
from drills.targets.local.standing import exclusive, seen, unclaimed
from drills.targets.local.target import LocalTarget
from recsvc.bundle import Bundle

ATTEMPTS = 2
"""So many labs in a row that do not come up: the next drills of the group need not wait for another one."""


class SharedLab:
    """The lab of a group. ``labs`` is where each one that it uses is noted."""

    def __init__(self, group: Group, folder: Path, bundle: Bundle, port: int, labs: list[LabUse]) -> None:
        assert group.topology is not None
        self._topology, self._standing = group.topology, group.standing
        self._folder, self._bundle, self._port, self._labs = folder, bundle, port, labs
        self._lab: LocalTarget | None = None
        self._lock = contextlib.ExitStack()
        self._runs: list[str] = []
        self._told: dict[Path, int] = {}
        self._failed: list[str] = []

    @property
    def number(self) -> int | None:
        """The number of the lab in use; None where there is none."""
        return self._labs[-1].lab if self._lab is not None else None

    def system(self, drill: Drill, progress: Progress) -> System:
        """The lab for the next drill, unbroken: brought back, or a fresh one where that cannot be done.

        Raises TargetError where no lab comes up, and UsageError where somebody else has the one that stands.
        """
        if self._lab is not None:
            try:
                self._bring_back(self._lab, progress)
            except TargetError as error:
                self._give_up(str(error), progress)
        if self._lab is None:
            self._open(progress)
        assert self._lab is not None
        return on_lab(self._lab, self._bundle, drill, tuple(self._runs))

    def used_by(self, run: RunDir) -> None:
        """Note that ``run`` used the lab, and copy into its logs what the lab wrote since the run before.

        So the first run has the deployment, and each later one how the lab was brought back for it.
        """
        if self._lab is None:
            return
        self._runs.append(run.id)
        for log in sorted((self._lab.lab_dir / "logs").glob("*.log")) if run.logs.is_dir() else ():
            with log.open("rb") as lines:
                lines.seek(self._told.get(log, 0))
                if new := lines.read():
                    (run.logs / log.name).write_bytes(new)
                self._told[log] = lines.tell()

    def close(self) -> None:
        """Leave a lab that stood before unbroken, and end one's own; nobody's request to stop interrupts that.

        A lab that stood before and cannot be brought back stays as it is, which is noted.
        """
        with held(), self._lock:
            if self._lab is None:
                return
            lab, self._lab = self._lab, None
            if self._standing:
                try:
                    lab.reset()
                except TargetError as error:
                    self._labs[-1].gave_up = str(error)
            else:
                lab.teardown()
                shutil.rmtree(lab.lab_dir, ignore_errors=True)

    def _bring_back(self, lab: LocalTarget, progress: Progress) -> None:
        progress("bringing the lab back to where it was", None, None)
        if not lab.alive():
            raise TargetError("its first process is gone")
        lab.reset()
        state = lab.status()
        left = [
            *(f"{name} does not run" for name, runs in state["processes"].items() if not runs),
            *(f"{region} is lost" for region in state["lost"]),
            *(f"{' and '.join(pair)} are cut off" for pair in state["cuts"]),
            *state.get("broken", ()),
        ]
        if left:
            raise TargetError(f"after that, still: {'; '.join(left)}")

    def _give_up(self, why: str, progress: Progress) -> None:
        """Go on without this lab: the next drill gets a fresh one of its own."""
        lab, self._lab = self._lab, None
        assert lab is not None
        progress(f"the lab could not be brought back, a fresh one takes its place: {why}", None, None)
        self._labs[-1].gave_up = why
        self._runs, self._told = [], {}
        if not self._standing:
            lab.teardown()
            shutil.rmtree(lab.lab_dir, ignore_errors=True)
        self._lock.close()
        self._standing = False

    def _open(self, progress: Progress) -> None:
        if len(self._failed) >= ATTEMPTS:
            raise TargetError(f"no lab came up in {ATTEMPTS} attempts: {self._failed[-1]}")
        try:
            self._lab = (
                self._join(progress) if self._standing else self._deploy(lambda what: progress(what, None, None))
            )
        except TargetError as error:
            self._failed.append(str(error))
            raise
        self._failed.clear()
        have = self._lab.deployment
        self._labs.append(
            LabUse(
                lab=len(self._labs) + 1,
                standing=self._standing,
                topology={"nodes": {region: len(nodes) for region, nodes in have.nodes.items()}}
                | {"replication": have.replication},
                accelerator=have.accelerator,
                pid_one=have.about.get("pid_one"),
                deploy_seconds=None if self._standing else have.about.get("deploy_seconds"),
            )
        )

    def _deploy(self, progress: Callable[[str], None]) -> LocalTarget:
        """A lab of one's own; the logs of one that does not come up stay where the error says."""
        folder = self._folder / f"lab-{len(self._labs) + len(self._failed) + 1}"
        lab = LocalTarget(folder, self._bundle.path, ephemeral=True, port=self._port, progress=progress)
        lab.deploy(self._topology)
        return lab

    def _join(self, progress: Progress) -> LocalTarget:
        """The lab that stands, kept from others meanwhile; a lab of one's own where it has gone or cannot be used."""
        lab = seen()
        if lab is not None:
            self._lock.enter_context(exclusive(lab.lab_dir))
            unclaimed(lab)
            progress("using the lab that is up", None, None)
            self._told = {log: log.stat().st_size for log in (lab.lab_dir / "logs").glob("*.log")}
            try:
                lab.reset()
            except TargetError as error:
                self._lock.close()
                progress(f"the lab that is up cannot be used: {error}", None, None)
            else:
                return lab
        self._standing = False
        return self._deploy(lambda what: progress(what, None, None))
