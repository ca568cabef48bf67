"""Getting a data set: from the cache, else from where it is published or from what the user named."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from recsvc import movielens, registry
from recsvc.bundle import Item
from recsvc.data import keys, storage
from recsvc.data.dataset import Acquired, Choice, DataError, Message, Rules, Source
from recsvc.data.opening import is_address
from recsvc.data.storage import Origin
from recsvc.movielens import SourceError, Tables
from recsvc.recipe import Progress

if TYPE_CHECKING:
    from recsvc.data.interactions import Interactions

    Rows = Tables | tuple[Interactions, Sequence[Item]]
    Loaded = tuple[Origin, Rows]

RETRY_AFTER_S = 600
"""After every real source failed, `auto` goes straight to synthetic data for so long."""

FILE = "file:"
NAMES = ("auto", "ml-100k", "ml-1m", "ml-20m", "synthetic")
_ORIGINAL_FILES = {
    "ml-100k": ("u.data", "u.item"),
    "ml-1m": ("ratings.dat", "movies.dat"),
    "ml-20m": ("ratings.csv", "movies.csv"),
}


@dataclass(frozen=True)
class Request:
    """Which data set, from where, and how it is read and cleaned.

    ``source`` is a folder, a zip archive or an address with the original files of a named set; ``columns`` maps user,
    item and time to columns of a ``file:PATH``, and header to yes or no; ``items`` is a catalogue file and
    ``item_columns`` its columns. ``key_file`` holds the pseudonym key; None: the cache's own.
    """

    data: Choice = "auto"
    source: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    items: Path | None = None
    item_columns: Mapping[str, str] = field(default_factory=dict)
    rules: Rules = field(default_factory=Rules)
    key_file: Path | None = None

    @property
    def name(self) -> str:
        """What the data set is called for people: never a whole path, which may name somebody."""
        return Path(self.data.removeprefix(FILE)).name if self.data.startswith(FILE) else self.data

    @property
    def file(self) -> Path | None:
        """The file of interactions that ``file:PATH`` names."""
        return Path(self.data.removeprefix(FILE)).expanduser().absolute() if self.data.startswith(FILE) else None

    def key(self, cache: Path) -> keys.Key:
        """The pseudonym key; raises `DataError` where a file that was named cannot be used."""
        return keys.Key.read(self.key_file) if self.key_file else keys.of_cache(cache)

    def own_key(self) -> str:
        """The fingerprint of a key file that was named; empty where the cache's own key does."""
        return keys.Key.read(self.key_file).fingerprint if self.key_file else ""

    def folder(self, cache: Path) -> Path:
        """Where the data set lies in a cache: by its name alone, where nothing but the name was asked for."""
        own = asdict(self) | {"key_file": self.own_key(), "file": str(self.file)}
        plain = asdict(Request(self.data)) | {"key_file": "", "file": str(self.file)}
        if own == plain and not self.file:
            return cache / "datasets" / self.name
        digest = hashlib.sha256(json.dumps(own, sort_keys=True, default=str).encode()).hexdigest()[:10]
        return cache / "datasets" / f"{self.name}-{digest}"

    def stamp(self) -> dict[str, list[int]]:
        """Size and time of change of each file that is read, to notice when one has changed.

        Raises `DataError` where one is missing.
        """
        # By what each is for, since files of one name may lie in two folders.
        files = [(role, path) for role, path in (("data", self.file), ("items", self.items)) if path is not None]
        if self.source is not None and not is_address(self.source):
            found = _originals(Path(self.source).expanduser(), _ORIGINAL_FILES.get(self.data, ()))
            files += [(path.name, path) for path in found]
        stamps = {}
        for role, path in files:
            try:
                about = path.stat()
            except OSError as error:
                raise DataError(f"{path}: cannot be read ({error.strerror}).") from error
            stamps[role] = [about.st_size, about.st_mtime_ns]
        return stamps


def acquire(
    choice: Choice | Request,
    cache: Path,
    say: Message,
    *,
    progress: Progress = lambda *_: None,
    verify: bool = True,
    again: bool = False,
) -> Acquired:
    """Return a data set that lies in the cache, fetching, reading or making it when it does not.

    ``auto`` takes MovieLens-100k from GroupLens, else from the recbole wheel, else synthetic data, which it announces
    through ``say``; any other choice raises `DataError` instead of falling back to something else. ``verify`` checks
    the hashes of what is stored, which a caller can leave out who may not need the data at all; ``again`` reads the
    source anew in any case.
    """
    request = Request(choice) if isinstance(choice, str) else choice
    _check(request)
    name = "ml-100k" if request.data == "auto" and request.source is None else request.data
    if request.data == "auto":
        request = Request("ml-100k", **{key: value for key, value in vars(request).items() if key != "data"})
    folder, stamp = request.folder(cache), request.stamp()
    found = None if again else _unchanged(folder, stamp, verify)
    if found is not None:
        return found
    with registry.lock(cache, f"data-{folder.name}", lambda: say("waiting for another process that gets the data")):
        found = None if again else _unchanged(folder, stamp, verify=True)
        if found is not None:
            return found
        if folder.exists() and not again:
            say(f"{folder} is damaged or its source has changed; getting the data again")
        try:
            origin, tables = _load(request, cache, say, progress, fall_back=_may_fall_back(choice))
        except _FallBack as reason:
            say(f"USING SYNTHETIC DATA: {reason}")
            made_up = Request("synthetic", rules=request.rules, key_file=request.key_file)
            return acquire(made_up, cache, say, progress=progress, verify=verify)
        tables = _described(tables, request, say)
        progress("clean", 0, 1, f"cleaning {name}")
        complete = replace(origin, stamp=stamp, own_key=request.own_key())
        stored = storage.store(folder, complete, tables, request.rules, request.key(cache))
        progress("clean", 1, 1, f"cleaned {name}")
        _forget_earlier_format(cache, request)
        return stored


class _FallBack(Exception):  # noqa: N818 - no error: the way to synthetic data
    """No real source gave anything; ``str()`` says why."""


def _may_fall_back(choice: Choice | Request) -> bool:
    return choice == "auto" or (isinstance(choice, Request) and choice.data == "auto" and choice.source is None)


def _check(request: Request) -> None:
    known = request.data in NAMES or request.data.startswith(FILE)
    if not known:
        raise DataError(
            f"--data {request.data}: there is no such data set. Choose {', '.join(NAMES)}, or file:PATH for a file."
        )
    if request.columns and not request.file:
        raise DataError(f"--columns is for a file, and --data {request.data} is none. Name one: --data file:PATH.")
    if request.source and request.data not in ("auto", *_ORIGINAL_FILES):
        raise DataError(f"--source is where a named data set lies; {request.data} needs none.")


def _unchanged(folder: Path, stamp: Mapping[str, Sequence[int]], verify: bool) -> Acquired | None:
    found = storage.found(folder, verify=verify)
    return found if found is not None and storage.origin_of(folder).stamp == stamp else None


def _described(tables: Rows, request: Request, say: Message) -> Rows:
    """The same interactions, with the catalogue that was named instead of their own."""
    if request.items is None:
        return tables
    from recsvc.data.catalogue import read_catalogue  # noqa: PLC0415 - brings in pyarrow, which takes 0.1 s
    from recsvc.data.tabular import from_lines  # noqa: PLC0415

    raw = from_lines(tables.interactions) if isinstance(tables, Tables) else tables[0]
    catalogue = read_catalogue(request.items, request.item_columns, raw.item_ids)
    described = len({item.id for item in catalogue}.intersection(raw.item_ids))
    say(f"{request.items.name} describes {described:,} of the {len(raw.item_ids):,} items in the interactions")
    return raw, catalogue


def _load(request: Request, cache: Path, say: Message, progress: Progress, *, fall_back: bool) -> Loaded:
    """Read the source that was asked for; raises `DataError`, or `_FallBack` where that is allowed."""
    if request.data == "synthetic":
        from recsvc import synthetic  # noqa: PLC0415 - brings in numpy, as in storage.read()

        say("making synthetic interactions")
        return Origin("synthetic", "synthetic"), synthetic.make()
    if request.file is not None:
        from recsvc.data.tabular import read_file  # noqa: PLC0415 - as in _described()

        say(f"reading {request.file}")
        return Origin("file", request.name), (read_file(request.file, request.columns, progress), ())
    if request.source is None and request.data == "ml-100k":
        return _hundred_thousand(request, cache, say, fall_back=fall_back)
    return _original(request, cache, say, progress)


def _original(request: Request, cache: Path, say: Message, progress: Progress) -> Loaded:
    """A named MovieLens set from ``--source``, from what lies in the cache, or from GroupLens."""
    from recsvc.data import movielens_sets  # noqa: PLC0415 - as in _described()

    placed = _archive(cache, request.data)
    if request.source is not None:
        where, source = request.source, "url" if is_address(request.source) else "path"
    elif placed.exists():
        where, source = str(placed), "path"
    else:
        where, source = movielens_sets.PUBLISHED[request.data].url, "grouplens"
    say(f"reading {request.data} from {where}")
    kinds: dict[str, Source] = {"url": "url", "path": "path", "grouplens": "grouplens"}
    return Origin(kinds[source], request.data), movielens_sets.load(request.data, where, progress)


def _hundred_thousand(request: Request, cache: Path, say: Message, *, fall_back: bool) -> Loaded:
    """Try what an earlier version left, then each published source in turn."""
    earlier = _earlier_format(cache / "data" / request.data)
    if earlier is not None:
        say(f"taking over {request.data} as an earlier version stored it")
        return earlier
    if fall_back and _failed_lately(cache):
        raise _FallBack(f"no real source could be reached less than {RETRY_AFTER_S // 60} minutes ago")
    archive = _archive(cache, request.data)
    attempts: list[tuple[Source, Callable[[], Tables]]] = [
        ("grouplens", movielens.from_grouplens),
        ("recbole-wheel", movielens.from_wheel),
    ]
    if archive.exists():
        attempts.insert(0, ("grouplens", lambda: movielens.from_archive_file(archive)))
    reasons = []
    for source, attempt in attempts:
        say(f"fetching MovieLens-100k ({source})")
        try:
            return Origin(source, request.data), attempt()
        except SourceError as error:
            say(str(error))
            reasons.append(str(error))
    registry.write_atomically(_failure(cache), json.dumps({"at": time.time()}).encode())
    if fall_back:
        raise _FallBack("; ".join(reasons))
    raise DataError(
        f"MovieLens-100k cannot be had: {'; '.join(reasons)}. Name a copy with --source, put ml-100k.zip at {archive}, "
        "or use --data synthetic."
    )


def _earlier_format(folder: Path) -> Loaded | None:
    """A data set as versions before 0.2 stored it, with raw user ids; None where there is none."""
    try:
        document = json.loads((folder / "source.json").read_text(encoding="utf-8"))
        interactions = (folder / "interactions.tsv").read_bytes()
        if hashlib.sha256(interactions).hexdigest() != document["sha256"]["interactions.tsv"]:
            return None
        tables = Tables(interactions, storage.read_items(folder / storage.ITEMS))
        return Origin(document["source"], folder.name), tables
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _forget_earlier_format(cache: Path, request: Request) -> None:
    """Raw user ids do not stay once they have become pseudonyms."""
    earlier = cache / "data" / request.name
    if (earlier / "interactions.tsv").exists():
        shutil.rmtree(earlier, ignore_errors=True)


def _archive(cache: Path, name: str) -> Path:
    """Where somebody without a network may put a published archive by hand."""
    return cache / "data" / f"{name}.zip"


def _failure(cache: Path) -> Path:
    return cache / "data" / "unreachable.json"


def _failed_lately(cache: Path) -> bool:
    if _archive(cache, "ml-100k").exists():
        return False
    try:
        age_s = time.time() - float(json.loads(_failure(cache).read_text(encoding="utf-8"))["at"])
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return 0 <= age_s < RETRY_AFTER_S


def _originals(path: Path, names: Sequence[str]) -> list[Path]:
    if not path.is_dir():
        return [path]
    return [found for name in names for found in sorted(path.rglob(name))[:1]]
