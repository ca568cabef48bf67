"""A model that can answer: verified, opened, warmed up, and found to rank."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recsvc.accelerator import Accelerator, Boundary, open_accelerator, sample_feeds
from recsvc.bundle import ITEMS, AlteredFile, Bundle, BundleError
from recsvc.encoded import EncodedUsers
from recsvc.inference import MAX_BATCH, Batcher, Stages
from recsvc.precision import AUTO, Chosen, alone, choose
from recsvc.search import SearchIndex

WARM_K = 20


class Refused(Exception):  # noqa: N818 - what becomes of an artifact, named so in the answer
    """This artifact must not serve; ``str()`` says why in a few words."""


@dataclass(frozen=True)
class Release:
    """One version of the model with what it runs on and the search index that goes with its item vectors."""

    bundle: Bundle
    accelerator: Accelerator
    batcher: Batcher
    search: SearchIndex
    variant: Chosen
    encoded: EncodedUsers | None = None
    """Users' vectors by this model; None where each request is to be encoded."""

    @functools.cached_property
    def version(self) -> str:
        return self.bundle.version

    async def retire(self) -> None:
        """Answer what it was asked, then end what it runs on; nobody may ask any more."""
        await self.batcher.drain()
        await asyncio.to_thread(self.accelerator.close)

    def close(self) -> None:
        """End what it runs on, answered or not."""
        self.batcher.close()
        self.accelerator.close()


@dataclass(frozen=True)
class Opening:
    """How this node opens an artifact. ``boundary`` is the accelerator's, the same for all releases of a process."""

    accelerator: str
    threads: int
    max_queue: int
    observe: Callable[[float], None]
    boundary: Boundary
    stages: Stages | None = None
    variant: str = AUTO
    user_cache_mb: float = 0.0
    """0 keeps no user vectors."""
    batch_window_us: int = 0
    deadline_s: float = 1.0
    """How long a request may wait for the model."""

    def __call__(self, path: Path, instead_of: Release | None = None) -> Release:
        """The release at ``path``, ready to serve; raises `Refused`. Takes a second or so: call it from a thread.

        ``instead_of``: what serves now, and is returned itself if ``path`` holds the same, intact. Histories in the
        store count items by its catalogue, so another one is refused.
        """
        try:
            bundle = Bundle.load(path)
        except AlteredFile as error:
            raise Refused(f"checksum of {error.file}") from error
        except BundleError as error:
            raise Refused(str(error)) from error
        if instead_of is not None and bundle.version == instead_of.version:
            return instead_of
        if instead_of is not None and _catalogue(bundle) != _catalogue(instead_of.bundle):
            raise Refused(f"{ITEMS} is another catalogue than the one that the stored histories are about")
        try:
            return self._open(bundle, instead_of.search if instead_of else None)
        except Exception as error:  # whatever an artifact does to those who run it, the node goes on
            raise Refused(f"it does not run: {error}") from error

    def _open(self, bundle: Bundle, search: SearchIndex | None) -> Release:
        embeddings = np.load(bundle.embeddings_path)
        chosen = choose(bundle, self.variant, self.accelerator, self.threads)
        on_cpu = alone(chosen, self.variant)
        accelerator = open_accelerator(
            self.accelerator,
            chosen.path_of(bundle, chosen.device),
            self.threads,
            sample_feeds(1, 1, 1),
            self.boundary,
            fallback=chosen.path_of(bundle, chosen.fallback),
            alone=on_cpu.path_of(bundle, on_cpu.device),
            deadline_s=self.deadline_s,
        )
        if accelerator.name == "cpu":
            chosen = on_cpu
        try:
            dimensions = _warm_up(accelerator, bundle, len(embeddings) - 1)
            encoded = self._encoded(bundle, dimensions, chosen)
        except Exception:
            accelerator.close()
            raise
        batcher = Batcher(
            accelerator,
            max_queue=self.max_queue,
            observe=self.observe,
            stages=self.stages,
            encoded=encoded,
            # A CPU is as fast with a batch of one: waiting for company would only be waiting.
            window_s=0.0 if accelerator.name == "cpu" else self.batch_window_us / 1e6,
        )
        index = search.with_embeddings(embeddings) if search else SearchIndex(bundle.items, embeddings)
        return Release(bundle, accelerator, batcher, index, chosen, encoded)

    def _encoded(self, bundle: Bundle, dimensions: int, chosen: Chosen) -> EncodedUsers | None:
        if not self.user_cache_mb:
            return None
        one_file = chosen.device is chosen.fallback
        return EncodedUsers(dimensions, bundle.max_length, round(self.user_cache_mb * 1e6), one_file=one_file)


def _warm_up(accelerator: Accelerator, bundle: Bundle, items: int) -> int:
    """Return how many numbers a user's vector has.

    Raises ValueError where a model over ``items`` items gives scores that are not numbers.
    """
    k = min(WARM_K, items - 1)
    for batch in (1, MAX_BATCH):
        feeds = sample_feeds(batch, bundle.max_length, k)
        accelerator.warm_up(feeds)
    outputs, _ = accelerator.run(feeds)
    if not np.isfinite(outputs["scores"]).all():
        raise ValueError("its scores are not numbers")
    known = {"history": np.zeros((0, 1), dtype=np.int64), "known": outputs["user"][:1].copy()}
    accelerator.warm_up({**sample_feeds(1, 1, k), **known})
    return int(outputs["user"].shape[1])


def _catalogue(bundle: Bundle) -> object:
    return bundle.manifest["files"][ITEMS]["sha256"]
