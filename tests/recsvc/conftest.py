"""A small known data set and a model trained on it in seconds, shared by the tests of the offline half."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from recsvc import synthetic
from recsvc.data import hold_out, read, store
from recsvc.recipe import Settings
from tests.recsvc.small_data import QUICK, SMALL, Small

# As `prepare` does, before a test module imports torch: on shared cores spinning threads cost minutes.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@pytest.fixture(scope="session")
def quick() -> Settings:
    return QUICK


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Small:
    tables = synthetic.make(**SMALL)
    acquired = store(tmp_path_factory.mktemp("small"), "synthetic", tables)
    dataset = read(acquired)
    return Small(acquired, dataset, hold_out(dataset.sequences))


@pytest.fixture(scope="session")
def small_bundle(small: Small, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete bundle in a folder of its own; tests that damage it copy it first."""
    from recsvc import build  # noqa: PLC0415 - torch takes seconds to import; tests without it should not wait

    folder = tmp_path_factory.mktemp("bundle")
    build.write(folder, small.acquired, QUICK, lambda *_: None)
    return folder
