"""Data sets on disk: cleaned, pseudonymised, found whole or not at all.

<folder>/interactions.npz   users (pseudonyms, ASCII), offsets int64 [users + 1], items int32, times_s int64
<folder>/items.json         the catalogue
<folder>/source.json        where it came from, what cleaning did, and the hashes of both
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recsvc import registry
from recsvc.bundle import Item, file_sha256
from recsvc.data.dataset import Acquired, Cleaning, DataError, Dataset, Rules, Source
from recsvc.data.keys import Key
from recsvc.movielens import Tables

if TYPE_CHECKING:
    from recsvc.data.cleaning import Cleaned
    from recsvc.data.interactions import Interactions

FORMAT = 2
INTERACTIONS = "interactions.npz"
ITEMS = "items.json"
SOURCE = "source.json"


@dataclass(frozen=True)
class Origin:
    """Where data come from and how they are told from others.

    ``stamp`` are the sizes and times of the files that were read, to notice that they have changed; ``own_key`` is the
    fingerprint of a key file that somebody named, and empty where the cache's own key was used.
    """

    source: Source
    name: str
    stamp: Mapping[str, Sequence[int]] | None = None
    own_key: str = ""


def store(
    folder: Path,
    source: Source | Origin,
    tables: Tables | tuple[Interactions, Sequence[Item]],
    rules: Rules = Rules(),  # noqa: B008 - frozen
    key: Key | None = None,
) -> Acquired:
    """Clean a data set, replace its user ids by pseudonyms and write it, so that it is found whole or not at all.

    Call with the folder's lock held, where others may store the same. Without a key the pseudonyms are made with one
    that is forgotten at once. Raises `DataError`.
    """
    # numpy and pyarrow would cost a warm start, which stores nothing, 0.2 s.
    from recsvc.data.cleaning import clean  # noqa: PLC0415
    from recsvc.data.tabular import from_lines  # noqa: PLC0415

    origin = source if isinstance(source, Origin) else Origin(source, source)
    raw, catalogue = (from_lines(tables.interactions), tables.items) if isinstance(tables, Tables) else tables
    cleaned = clean(raw, catalogue, rules)
    with registry.partial(folder) as partial:
        _write(partial, cleaned, origin, key or Key.forgotten())
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    stored = found(folder, verify=True)
    if stored is None:
        raise DataError(f"{folder}: what was just written does not read back; is the disk full or broken?")
    return stored


def read(acquired: Acquired) -> Dataset:
    """Read a stored data set."""
    import numpy as np  # noqa: PLC0415 - a warm start never reads the data, and numpy costs it 0.1 s

    with np.load(acquired.folder / INTERACTIONS) as arrays:
        offsets, items, times_s = arrays["offsets"], arrays["items"].astype(np.int64), arrays["times_s"]
        users = tuple(arrays["users"].astype(str).tolist())
    bounds = list(zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True))
    return Dataset(
        users,
        read_items(acquired.folder / ITEMS),
        tuple(items[begin:end] for begin, end in bounds),
        tuple(times_s[begin:end] for begin, end in bounds),
        report_of(acquired),
    )


def report_of(acquired: Acquired) -> Cleaning:
    """What cleaning did to a stored data set."""
    row = dict(_source(acquired.folder)["cleaning"])
    row["unreadable_lines"] = tuple(row["unreadable_lines"])
    return Cleaning(**row)


def found(folder: Path, *, verify: bool) -> Acquired | None:
    """The data set in a folder, or None where it is missing or half written or, if ``verify``, altered."""
    try:
        document = _source(folder)
        if document["format"] != FORMAT:
            return None
        for name, entry in document["files"].items():
            if (folder / name).stat().st_size != entry["bytes"]:
                return None
            if verify and file_sha256(folder / name) != entry["sha256"]:
                return None
        return Acquired(
            document["source"], document["sha256"], document["interactions_sha256"], folder, document["name"]
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def origin_of(folder: Path) -> Origin:
    """Where a stored data set came from; raises OSError, ValueError or KeyError where there is none."""
    document = _source(folder)
    return Origin(document["source"], document["name"], document["stamp"], document["own_key"])


def read_items(path: Path) -> tuple[Item, ...]:
    """The catalogue in a file of JSON objects."""
    return tuple(Item.read(row) for row in json.loads(path.read_text(encoding="utf-8")))


def _source(folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / SOURCE).read_text(encoding="utf-8"))
    return document


def _write(folder: Path, cleaned: Cleaned, origin: Origin, key: Key) -> None:
    import numpy as np  # noqa: PLC0415 - as in read()

    users = np.array([key.pseudonym(user) for user in cleaned.users], dtype="S32")
    np.savez(folder / INTERACTIONS, users=users, offsets=cleaned.offsets, items=cleaned.item, times_s=cleaned.time_s)
    catalogue = json.dumps([asdict(item) for item in cleaned.items], ensure_ascii=False).encode()
    (folder / ITEMS).write_bytes(catalogue)
    learnt = _learnt(cleaned)
    document = {
        "format": FORMAT,
        "name": origin.name,
        "source": origin.source,
        "stamp": origin.stamp,
        "own_key": origin.own_key,
        "sha256": hashlib.sha256(b"".join([learnt, catalogue, origin.own_key.encode()])).hexdigest(),
        "interactions_sha256": learnt.hex(),
        "cleaning": asdict(cleaned.report),
        "files": {
            name: {"sha256": file_sha256(folder / name), "bytes": (folder / name).stat().st_size}
            for name in (INTERACTIONS, ITEMS)
        },
    }
    registry.write_atomically(folder / SOURCE, json.dumps(document, indent=1).encode())


def _learnt(cleaned: Cleaned) -> bytes:
    """SHA-256 of who did what when in which order, whatever the users are called."""
    digest = hashlib.sha256()
    for array in (cleaned.offsets, cleaned.item, cleaned.time_s):
        digest.update(array.tobytes())
    digest.update("\n".join(item.id for item in cleaned.items).encode())
    return digest.digest()
