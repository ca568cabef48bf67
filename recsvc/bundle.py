"""The model bundle as a directory on disk: what serving and drills read, checked before it is used.

A bundle is immutable and named by its content. This module needs neither torch nor onnxruntime nor numpy,
so a node, a drill and `prepare` on a warm cache can all read bundles cheaply.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any

FORMAT_VERSION = 2
"""Raised whenever the files of a bundle change meaning; readers refuse any other."""

MODEL = "model.onnx"
ITEMS = "items.json"
EMBEDDINGS = "item_embeddings.npy"
CONTENT = "item_content.npy"
CHECKPOINT = "checkpoint.npz"
HISTORIES = "histories.json"
EVALUATION = "evaluation.json"
MANIFEST = "manifest.json"
PREVIOUS = "previous"
"""The folder in which a bundle may hold the release before it, a bundle of its own; no part of the version."""
PAYLOAD = (MODEL, ITEMS, EMBEDDINGS, CONTENT, HISTORIES, EVALUATION)
"""The files that every bundle has."""


class Precision(StrEnum):
    """How many bits the numbers of a model's item table have; `recsvc.graphs` says what each is for."""

    FP32 = "fp32"
    FP16 = "fp16"
    INT8 = "int8"


VARIANTS = {Precision.INT8: "model.int8.onnx", Precision.FP16: "model.fp16.onnx"}
"""The same model in fewer bits; the manifest's ``variants`` says what each one loses."""
OPTIONAL = (CHECKPOINT, *VARIANTS.values())
"""Files that a bundle may have. What the manifest vouches for, of both, decides the version."""


class BundleError(Exception):
    """A bundle cannot be used; ``str()`` names the file, what is wrong and what to do."""


class AlteredFile(BundleError):  # noqa: N818 - the file that a bundle error is about
    """``file``, by its name in the bundle, is not what the manifest vouches for."""

    def __init__(self, file: str, message: str) -> None:
        super().__init__(message)
        self.file = file


@dataclass(frozen=True)
class Item:
    """One thing that can be recommended; ``year``, ``brand`` and ``price`` are None where they are not known.

    ``genres`` are a film's genres or a product's categories; ``price`` is in the catalogue's own currency.
    """

    id: str
    title: str
    year: int | None
    genres: tuple[str, ...]
    brand: str | None = None
    price: float | None = None

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> Item:
        """An item from its JSON object, as `dataclasses.asdict` gives it; older ones know no brand and no price."""
        return cls(
            row["id"], row["title"], row["year"], tuple(row["genres"]), brand=row.get("brand"), price=row.get("price")
        )


@dataclass(frozen=True)
class Evaluation:
    """Held-out users, in a fixed order, and for each the items that a good answer contains."""

    users: tuple[str, ...]
    expected: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Bundle:
    """A bundle whose files were all found intact. Make one with `Bundle.load`."""

    path: Path
    manifest: Mapping[str, Any]

    @classmethod
    def load(cls, path: Path | str) -> Bundle:
        """Read the manifest and check the SHA-256 of every file it lists.

        Raises `BundleError`, naming the file, when one is missing, altered, or of another format.
        """
        root = Path(path)
        manifest = _read_manifest(root / MANIFEST)
        extra = [name for name in OPTIONAL if name in manifest["files"]]
        digests = {name: _checked_digest(root / name, manifest) for name in (*PAYLOAD, *extra)}
        if content_version(digests) != manifest["version"]:
            raise BundleError(f"{root / MANIFEST}: the version is not that of the files. {_REMEDY}")
        return cls(root, manifest)

    def previous(self) -> Bundle:
        """The release before this one, which shares its catalogue; raises `BundleError` where there is none."""
        return Bundle.load(self.path / PREVIOUS)

    @property
    def version(self) -> str:
        """12 hexadecimal digits that depend on the content of every file but the manifest."""
        return str(self.manifest["version"])

    @property
    def synthetic(self) -> bool:
        """True when the model was trained on made-up interactions; every report has to say so."""
        return bool(self.manifest["synthetic"])

    @property
    def data_source(self) -> str:
        """Where the data came from: ``grouplens``, ``recbole-wheel``, ``synthetic``, ``path``, ``url`` or ``file``."""
        return str(self.manifest["data_source"])

    @property
    def data(self) -> str:
        """What the data set is called, such as ``ml-1m`` or a file's name."""
        return str(self.manifest.get("data") or self.data_source)

    @property
    def cut_short(self) -> str | None:
        """How far the training had come when its time ran out, such as ``after 3 of 14 epochs``; None where it had
        time enough."""
        about = self.manifest
        if not about.get("out_of_time"):
            return None
        plan = (about.get("settings") or {}).get("plan") or {}
        planned = plan.get("resume_epochs" if "resumed_from" in about else "epochs", 0)
        done, best = about.get("epochs", 0), about.get("best_epoch", 0)
        if done >= planned or done - best >= plan.get("patience", planned):
            return "in its last stage"
        return f"after {done} of {planned} epochs"

    @property
    def max_length(self) -> int:
        """How many of a user's newest items the model can take in."""
        return int(self.manifest["max_length"])

    @property
    def model_path(self) -> Path:
        return self.path / MODEL

    def variant_path(self, precision: Precision) -> Path | None:
        """The graph in this precision; None where the bundle has none."""
        if precision is Precision.FP32:
            return self.model_path
        name = VARIANTS[precision]
        return self.path / name if name in self.manifest["files"] else None

    def variant_loss(self, precision: Precision) -> Mapping[str, Any]:
        """What the variant loses against fp32, as `recsvc.variants` measured it; empty where nothing is known."""
        found: Mapping[str, Any] = self.manifest.get("variants", {}).get(precision.value, {})
        return found

    @property
    def embeddings_path(self) -> Path:
        """float32 ``[items + 1, d]`` in numpy's format; row 0 is padding and all zero."""
        return self.path / EMBEDDINGS

    @property
    def content_path(self) -> Path:
        """float32 ``[items + 1, d]``: the part of each embedding that comes from the item's description, zeros
        where nothing is told of an item."""
        return self.path / CONTENT

    @property
    def checkpoint_path(self) -> Path | None:
        """What a later training goes on from; None where the bundle was made without it."""
        return self.path / CHECKPOINT if CHECKPOINT in self.manifest["files"] else None

    @cached_property
    def items(self) -> tuple[Item, ...]:
        """The catalogue; the model knows ``items[i]`` as index ``i + 1``."""
        rows = json.loads((self.path / ITEMS).read_text(encoding="utf-8"))
        return tuple(Item.read(row) for row in rows)

    @cached_property
    def index_of(self) -> Mapping[str, int]:
        """Item id to the model's catalogue index, 1 to N."""
        return {item.id: index for index, item in enumerate(self.items, start=1)}

    @cached_property
    def histories(self) -> Mapping[str, tuple[str, ...]]:
        """User's pseudonym to item ids, oldest first, at most 500, without each user's held-out last item.

        To the service a pseudonym is a user id like any other.
        """
        rows = json.loads((self.path / HISTORIES).read_text(encoding="utf-8"))
        return {user: tuple(items) for user, items in rows.items()}

    @cached_property
    def evaluation(self) -> Evaluation:
        """Whom to ask for and what a good answer would contain."""
        document = json.loads((self.path / EVALUATION).read_text(encoding="utf-8"))
        expected = {user: tuple(items) for user, items in document["expected"].items()}
        return Evaluation(tuple(document["users"]), expected)


def find(bundles: Path, which: str) -> Bundle:
    """The bundle that a path or the first digits of its version name, among those in a folder; raises `BundleError`."""
    path = Path(which).expanduser()
    if path.is_dir():
        return Bundle.load(path)
    named = [found for found in listed(bundles) if found.name.startswith(which)] if which else []
    if len(named) == 1:
        return Bundle.load(named[0])
    if named:
        raise BundleError(f"{which}: {len(named)} bundles begin so: {', '.join(found.name for found in named)}.")
    raise BundleError(f"{which}: there is no bundle of that version in {bundles}. `recdr model show` lists them.")


def listed(bundles: Path) -> list[Path]:
    """The bundles in a folder, by version, not checked; none where there is no such folder."""
    return sorted(path.parent for path in bundles.glob(f"[!.]*/{MANIFEST}"))


def content_version(digests: Mapping[str, str]) -> str:
    """Return the version (12 hex digits) of a bundle whose files have these SHA-256 digests."""
    listing = "".join(f"{name} {digests[name]}\n" for name in sorted(digests))
    return hashlib.sha256(listing.encode()).hexdigest()[:12]


def file_sha256(path: Path) -> str:
    """Return the hex SHA-256 of a file; raises OSError when it cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


_REMEDY = "Delete the bundle and make it again with `recdr model train`."


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BundleError(f"{path}: not a model bundle ({error.strerror}). {_REMEDY}") from error
    except ValueError as error:
        raise BundleError(f"{path}: not valid JSON ({error}). {_REMEDY}") from error
    if not isinstance(manifest, dict) or not isinstance(manifest.get("files"), dict) or "version" not in manifest:
        raise BundleError(f"{path}: not the manifest of a model bundle. {_REMEDY}")
    if manifest.get("format") != FORMAT_VERSION:
        found = manifest.get("format")
        raise BundleError(f"{path}: bundle format {found!r}, this program reads {FORMAT_VERSION}. {_REMEDY}")
    return manifest


def _checked_digest(path: Path, manifest: Mapping[str, Any]) -> str:
    entry = manifest["files"].get(path.name)
    expected = entry.get("sha256") if isinstance(entry, dict) else None
    try:
        found = file_sha256(path)
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror}). {_REMEDY}") from error
    if found != expected:
        raise AlteredFile(path.name, f"{path}: SHA-256 is {found}, the manifest says {expected}. {_REMEDY}")
    return found
