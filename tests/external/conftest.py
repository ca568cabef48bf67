"""The rigged services are drilled all at once, some at a time: a drill mostly waits."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.external.services import Told, drill_for, run_drill, running

AT_A_TIME = 3
Change = Callable[[dict[str, Any], int], None]


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A home of its own for the drills of this folder."""
    return {**os.environ, "RECDR_HOME": str(tmp_path_factory.mktemp("home")), "NO_COLOR": "1"}


class Drilled:
    """Drills that run in the background from the moment they were asked for, each once."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder, self.environment = folder, environment
        self.pool = ThreadPoolExecutor(AT_A_TIME)
        self.found: dict[str, Future[Told]] = {}

    def start(self, name: str, rig: str, change: Change | None) -> None:
        if name not in self.found:
            self.found[name] = self.pool.submit(self._run, name, rig, change)

    def told(self, name: str) -> Told:
        return self.found[name].result()

    def _run(self, name: str, rig: str, change: Change | None) -> Told:
        folder = self.folder / name
        folder.mkdir()
        with running(rig) as port:
            drill = drill_for(port, name)
            if change:
                change(drill, port)
            return run_drill(drill, folder, self.environment)


@pytest.fixture(scope="session")
def drilled(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Iterator[Drilled]:
    """Starts drills and waits for what they say."""
    drills = Drilled(tmp_path_factory.mktemp("drills"), environment)
    yield drills
    drills.pool.shutdown(wait=True, cancel_futures=True)
