"""A suite from beginning to end: group by group, drill by drill, each summed up as soon as it is over."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import reports
from drills import engine, model
from drills.engine import Options
from drills.errors import EXIT_BUG, Interrupted, RecdrError, TargetError, UsageError
from drills.home import cache, home
from drills.interruption import held, ignore_signals, interruptible
from drills.recording.rundir import RunDir
from drills.spec import Drill
from drills.suite.choosing import Chosen, check_baselines, options_of
from drills.suite.document import FAILED, INTERRUPTED, JUDGED, Entry, Suite, create
from drills.suite.grouping import Group, groups
from drills.suite.shared import SharedLab
from drills.system import System
from drills.trial import Observer
from recsvc.bundle import Bundle


class Watcher(Protocol):
    """Somebody who watches a suite: the terminal, or nobody."""

    def preparing(self) -> AbstractContextManager[Observer]:
        """Who watches what comes before the first drill."""

    def drill(self, number: int, total: int, drill: Drill) -> AbstractContextManager[Observer]:
        """Who watches the ``number``-th of ``total`` drills, from getting its lab to its verdict."""

    def ended(self, entry: Entry) -> None:
        """A drill is over, was skipped, or was not reached."""


def run(chosen: Chosen, options: Options, watcher: Watcher, *, name: str, fail_fast: bool = False) -> Suite:
    """Run the drills that were chosen and checked, and write ``suite.json``, ``summary.md`` and ``junit.xml``.

    A drill whose target fails is UNKNOWN, and the suite goes on. ``fail_fast``: it ends at the first that is not PASS.
    Interrupted, it heals, sums up what there is and returns, with ``stopped`` and ``exit_code`` set. Raises RecdrError
    only before the first drill begins. A bug in recdr ends the suite, too, once it is summed up, and is raised.
    """
    begin = time.monotonic()
    bundle = _prepare(chosen, options, watcher)
    planned = groups(chosen.drills, options, bundle.path if bundle else None)
    folder = create((options.out or home()) / "suites", name)
    entries = [Entry.of(drill) for group in planned for drill in group.drills]
    suite = Suite(folder, " ".join(options.command), entries)
    running = _Running(suite, options, watcher, bundle, fail_fast, len(entries))
    try:
        with interruptible("everything that was broken has been healed"):
            try:
                running.all(planned)
            finally:
                ignore_signals()  # what is left is summing up
    except Interrupted as error:
        suite.stopped, suite.exit_code = str(error), error.exit_code
    except BaseException as error:
        suite.stopped, suite.exit_code = f"a bug in recdr: {type(error).__name__}: {error}", EXIT_BUG
        raise
    finally:
        suite.seconds = time.monotonic() - begin
        with held():
            _sum_up(suite, chosen, watcher)
    return suite


def _prepare(chosen: Chosen, options: Options, watcher: Watcher) -> Bundle | None:
    """The model for the suite's labs, None where no drill needs one; baselines that must be there are looked for."""
    bundle: Bundle | None = None

    def prepared() -> Bundle:
        with interruptible("nothing was broken yet"), watcher.preparing() as observer:
            return Bundle.load(model.prepare(cache(), observer.progress, options.model))

    if any(drill.service is None for drill in chosen.drills):
        bundle = prepared()
    check_baselines(chosen.drills, options, lambda: bundle.version if bundle else "")
    return bundle


def _sum_up(suite: Suite, chosen: Chosen, watcher: Watcher) -> None:
    for entry in suite.entries:
        if entry.outcome is None:
            watcher.ended(entry)
    for drill, why in chosen.skipped:
        entry = Entry.of(drill)
        entry.skip(why)
        suite.entries.append(entry)
        watcher.ended(entry)
    suite.save()
    reports.build_suite(suite.folder)


@dataclass
class _Running:
    suite: Suite
    options: Options
    watcher: Watcher
    bundle: Bundle | None
    fail_fast: bool
    total: int
    _number: int = 0

    def all(self, planned: Sequence[Group]) -> None:
        """Run group after group; ``Suite.stopped`` is set where that ends early."""
        for group in planned:
            with self._shared(group) as lab:
                for drill in group.drills:
                    if self.suite.stopped:
                        return
                    self._next(drill, lab)

    def _shared(self, group: Group) -> AbstractContextManager[SharedLab | None]:
        if group.topology is None:
            return nullcontext()
        assert self.bundle is not None
        return closing(SharedLab(group, self.suite.folder, self.bundle, self.options.port, self.suite.labs))

    def _next(self, drill: Drill, lab: SharedLab | None) -> None:
        entry, begin = self.suite.entries[self._number], time.monotonic()
        self._number += 1
        try:
            with self.watcher.drill(self._number, self.total, drill) as observer:
                self._run(entry, drill, lab, observer)
        finally:
            entry.seconds = round(time.monotonic() - begin, 1)
            if entry.outcome is not None:
                self.watcher.ended(entry)
            self.suite.save()
        if self.fail_fast and entry.outcome != "PASS" and self._number < self.total:
            self.suite.stopped = f"--fail-fast: {entry.drill} is {entry.outcome}"

    def _run(self, entry: Entry, drill: Drill, lab: SharedLab | None, observer: Observer) -> None:
        """Run one drill; whatever its target does is told in ``entry``. Raises Interrupted, and bugs."""
        options, run = options_of(drill, self.options), None
        try:
            system = _system(lab, drill, observer)
            entry.lab = lab.number if lab is not None else None
            run = engine.create(drill, options)
            try:
                engine.conduct(run, drill, options, observer, system, checked=True)
            finally:
                if lab is not None:
                    lab.used_by(run)
            entry.ended(JUDGED, "", self.suite.folder, run)
        except Interrupted as error:
            entry.ended(INTERRUPTED, str(error), self.suite.folder, run)
            raise
        except RecdrError as error:
            entry.ended(FAILED, _told(error, run, self.suite.folder), self.suite.folder, run)


def _system(lab: SharedLab | None, drill: Drill, observer: Observer) -> System | None:
    return None if lab is None else lab.system(drill, observer.progress)


def _told(error: RecdrError, run: RunDir | None, suite: Path) -> str:
    """What went wrong; logs of a lab that it says to read lie with the run, for the lab's own folder goes."""
    text = str(error)
    if run is not None and isinstance(error, TargetError):
        for logs in suite.glob("lab-*/logs"):
            text = text.replace(str(logs), str(run.logs))
    return f"it was refused: {text}" if isinstance(error, UsageError) else text
