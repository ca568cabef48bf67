from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from recsvc.bundle import Bundle
from recsvc.pseudonym import Pseudonymiser
from recsvc.seed import seed
from tests.recsvc.serving import tiny_bundle
from tests.recsvc.serving.cluster import Cluster, Node, Pair, pair


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bundle.write(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture
def cluster(tmp_path: Path, bundle: Path) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path, bundle)
    yield cluster
    cluster.close()


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, bundle: Path) -> Iterator[Node]:
    """A node on its own: async replication, a seeded store, an accelerator that can be failed."""
    cluster = Cluster(tmp_path_factory.mktemp("solo"), bundle)
    try:
        store = cluster.store("store")
        seed(Bundle.load(bundle), Pseudonymiser.from_file(cluster.key_file), ("127.0.0.1", store.port))
        yield cluster.node("primary/node-1", store, replication="async", accelerator="simulated")
    finally:
        cluster.close()


@pytest.fixture
def two_regions(tmp_path: Path, bundle: Path) -> Iterator[Pair]:
    with pair(tmp_path, bundle) as deployed:
        yield deployed
