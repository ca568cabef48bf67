"""Interactions: where they come from, how they are cleaned, and what is held out of training.

`acquire` finds a data set (the user's cache first, then each source in turn) and returns where it lies and
what its hash is, without reading it; `read` turns it into arrays; `hold_out` splits those.

Order: a user's interactions are sorted by timestamp, and ties keep the order of the source file. In
MovieLens-100k many ratings share a second, so another rule would give other test items.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from recsvc import movielens, registry
from recsvc.bundle import Item
from recsvc.movielens import SourceError, Tables

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Indices = NDArray[np.int64]

Source = Literal["grouplens", "recbole-wheel", "synthetic"]
Choice = Literal["auto", "ml-100k", "synthetic"]
Message = Callable[[str], None]

MIN_EVALUATED = 5
"""Users with fewer interactions are trained on but hold nothing out and are not evaluated."""

RETRY_AFTER_S = 600
"""After every real source failed, `auto` goes straight to synthetic data for so long."""


class DataError(Exception):
    """The interactions that were asked for cannot be had; ``str()`` says why and what to do."""


@dataclass(frozen=True)
class Acquired:
    """A verified data set on disk. ``sha256`` covers interactions and catalogue; ``folder`` holds both."""

    source: Source
    sha256: str
    interactions_sha256: str
    folder: Path

    @property
    def synthetic(self) -> bool:
        return self.source == "synthetic"


@dataclass(frozen=True)
class Cleaning:
    """What reading changed, in interactions, users and items."""

    interactions_read: int
    duplicates_dropped: int
    items_without_description: int
    users: int
    users_not_evaluated: int
    items: int


@dataclass(frozen=True)
class Dataset:
    """``sequences[n]`` are the catalogue indices (1 to N, oldest first, none twice) of ``users[n]``.

    ``times_s[n]`` run parallel to them: when each happened, in seconds since 1970, int64.
    """

    users: tuple[str, ...]
    items: tuple[Item, ...]
    sequences: tuple[Indices, ...]
    times_s: tuple[Indices, ...]
    cleaning: Cleaning


@dataclass(frozen=True)
class Split:
    """Leave-one-out: each evaluated user's last item is for test, the one before it for validation.

    ``evaluated`` are positions in ``Dataset.users``; the fields below it run parallel to it. ``train`` has
    every user's items but the held-out ones, ``not_evaluated`` those of users who hold nothing out.
    """

    train: tuple[Indices, ...]
    not_evaluated: tuple[Indices, ...]
    evaluated: Indices
    before_validation: tuple[Indices, ...]
    validation: Indices
    before_test: tuple[Indices, ...]
    test: Indices


def acquire(choice: Choice, cache: Path, say: Message) -> Acquired:
    """Return a data set that lies verified in the cache, fetching or making it when it does not.

    ``auto`` takes MovieLens-100k from GroupLens, else from the recbole wheel, else synthetic data, which it
    announces through ``say``; ``ml-100k`` raises `DataError` instead of falling back to synthetic data.
    """
    if choice == "synthetic":
        return _synthetic(cache, say)
    real = cache / "data" / "ml-100k"
    found = _verified(real)
    if found is not None:
        return found
    with registry.lock(cache, "data-ml-100k", lambda: say("waiting for another process that fetches the data")):
        found = _verified(real)
        if found is not None:
            return found
        if choice == "auto" and _failed_lately(cache):
            reason = f"no real source could be reached less than {RETRY_AFTER_S // 60} minutes ago"
        else:
            if real.exists():
                say(f"{real} is damaged; fetching the data again")
            outcome = _fetch(cache, real, say)
            if isinstance(outcome, Acquired):
                return outcome
            reason = outcome
    if choice == "ml-100k":
        archive = _archive(cache)
        raise DataError(
            f"MovieLens-100k cannot be had: {reason}. Put ml-100k.zip at {archive}, or use --data synthetic."
        )
    say(f"USING SYNTHETIC DATA: {reason}")
    return _synthetic(cache, say)


def read(acquired: Acquired) -> Dataset:
    """Read, order and clean a data set. Of repeated (user, item) pairs the earliest stays."""
    import numpy as np  # noqa: PLC0415 - a warm `prepare` never reads the data, and numpy costs it 0.1 s

    items = _read_items(acquired.folder / _ITEMS)
    rows = [line.split("\t") for line in (acquired.folder / _INTERACTIONS).read_text(encoding="utf-8").splitlines()]
    index_of = {item.id: index for index, item in enumerate(items, start=1)}
    described = len(items)
    by_user: dict[str, list[tuple[int, int]]] = {}
    for user, item, _rating, timestamp in rows:
        if item not in index_of:
            items.append(Item(item, item, None, ()))
            index_of[item] = len(items)
        by_user.setdefault(user, []).append((int(timestamp), index_of[item]))
    sequences, times_s = [], []
    for events in by_user.values():
        # sorted() is stable: equal timestamps keep the order of the file. Of a pair the first stays.
        first: dict[int, int] = {}
        for time_s, index in sorted(events, key=lambda event: event[0]):
            first.setdefault(index, time_s)
        sequences.append(np.array(list(first), dtype=np.int64))
        times_s.append(np.array(list(first.values()), dtype=np.int64))
    kept = sum(map(len, sequences))
    few = sum(len(sequence) < MIN_EVALUATED for sequence in sequences)
    cleaning = Cleaning(len(rows), len(rows) - kept, len(items) - described, len(by_user), few, len(items))
    return Dataset(tuple(by_user), tuple(items), tuple(sequences), tuple(times_s), cleaning)


def hold_out(sequences: Sequence[Indices]) -> Split:
    """Split leave-one-out; users with fewer than `MIN_EVALUATED` interactions stay in training whole."""
    import numpy as np  # noqa: PLC0415 - as in read()

    chosen = [position for position, sequence in enumerate(sequences) if len(sequence) >= MIN_EVALUATED]
    evaluated = [sequences[position] for position in chosen]
    return Split(
        train=tuple(s[:-2] if len(s) >= MIN_EVALUATED else s for s in sequences),
        not_evaluated=tuple(s for s in sequences if len(s) < MIN_EVALUATED),
        evaluated=np.array(chosen, dtype=np.int64),
        before_validation=tuple(s[:-2] for s in evaluated),
        validation=np.array([s[-2] for s in evaluated], dtype=np.int64),
        before_test=tuple(s[:-1] for s in evaluated),
        test=np.array([s[-1] for s in evaluated], dtype=np.int64),
    )


_INTERACTIONS = "interactions.tsv"
_ITEMS = "items.json"
_SOURCE = "source.json"


def _archive(cache: Path) -> Path:
    return cache / "data" / "ml-100k.zip"


def _fetch(cache: Path, folder: Path, say: Message) -> Acquired | str:
    """Try each real source in turn; returns the data set, or why there is none."""
    reasons = []
    archive = _archive(cache)
    attempts: list[tuple[Source, Callable[[], Tables]]] = [
        ("grouplens", movielens.from_grouplens),
        ("recbole-wheel", movielens.from_wheel),
    ]
    if archive.exists():
        attempts.insert(0, ("grouplens", lambda: movielens.from_archive_file(archive)))
    for source, attempt in attempts:
        say(f"fetching MovieLens-100k ({source})")
        try:
            return store(folder, source, attempt())
        except SourceError as error:
            say(str(error))
            reasons.append(str(error))
    registry.write_atomically(_failure(cache), json.dumps({"at": time.time()}).encode())
    return "; ".join(reasons)


def _failure(cache: Path) -> Path:
    return cache / "data" / "unreachable.json"


def _failed_lately(cache: Path) -> bool:
    if _archive(cache).exists():
        return False
    try:
        age_s = time.time() - float(json.loads(_failure(cache).read_text(encoding="utf-8"))["at"])
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return 0 <= age_s < RETRY_AFTER_S


def _synthetic(cache: Path, say: Message) -> Acquired:
    folder = cache / "data" / "synthetic"
    found = _verified(folder)
    if found is not None:
        return found
    with registry.lock(cache, "data-synthetic", lambda: say("waiting for another process that makes the data")):
        found = _verified(folder)
        if found is not None:
            return found
        from recsvc import synthetic  # noqa: PLC0415 - brings in numpy, as in read()

        say("making synthetic interactions")
        return store(folder, "synthetic", synthetic.make())


def store(folder: Path, source: Source, tables: Tables) -> Acquired:
    """Write a data set so that it is found whole or not at all: ``source.json``, the hashes, comes last."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    catalogue = json.dumps([asdict(item) for item in tables.items], ensure_ascii=False).encode()
    content = {_INTERACTIONS: tables.interactions, _ITEMS: catalogue}
    for name, data in content.items():
        registry.write_atomically(folder / name, data)
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in content.items()}
    registry.write_atomically(folder / _SOURCE, json.dumps({"source": source, "sha256": hashes}).encode())
    stored = _verified(folder)
    if stored is None:
        raise DataError(f"{folder}: what was just written does not read back; is the disk full or broken?")
    return stored


def _verified(folder: Path) -> Acquired | None:
    """Return the data set in a folder, or None when it is missing, half written or altered."""
    try:
        document = json.loads((folder / _SOURCE).read_text(encoding="utf-8"))
        hashes = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in (_INTERACTIONS, _ITEMS)}
        if hashes != document["sha256"]:
            return None
        # The MovieLens sources may word the catalogue differently, so it is part of the hash too.
        both = hashlib.sha256("".join(hashes[name] for name in sorted(hashes)).encode()).hexdigest()
        return Acquired(document["source"], both, hashes[_INTERACTIONS], folder)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _read_items(path: Path) -> list[Item]:
    rows = json.loads(path.read_text(encoding="utf-8"))
    return [Item.read(row) for row in rows]
