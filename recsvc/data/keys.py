"""The key under which user ids become pseudonyms before anything of them is stored."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from recsvc.data.dataset import DataError
from recsvc.pseudonym import KeyFileError, Pseudonymiser

KEY_FILE = "pseudonym.key"
KEY_BYTES = 32


@dataclass(frozen=True)
class Key:
    """A pseudonymiser, and a name for its key that gives nothing of it away: 16 hex digits."""

    pseudonym: Pseudonymiser
    fingerprint: str

    @classmethod
    def read(cls, path: Path) -> Key:
        """The key in a file; raises `DataError`."""
        try:
            pseudonym = Pseudonymiser.from_file(path)
        except KeyFileError as error:
            raise DataError(f"{error} Name another with --key-file.") from error
        return cls(pseudonym, hashlib.sha256(pseudonym("recsvc key fingerprint").encode()).hexdigest()[:16])

    @classmethod
    def forgotten(cls) -> Key:
        """A key that nobody keeps: what is made with it can be linked to nobody, not even by its maker."""
        return cls(Pseudonymiser(secrets.token_bytes(KEY_BYTES)), "")


def of_cache(cache: Path) -> Key:
    """The key that belongs to a cache, drawn when it is first needed and readable by its owner alone.

    Every data set in the cache shares it, so that a user's pseudonym stays the same when newer data are read.
    """
    path = cache / KEY_FILE
    if not path.exists():
        _draw(path)
    return Key.read(path)


def _draw(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(KEY_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
        # link, unlike rename, leaves alone a key that another process drew first.
        with contextlib.suppress(FileExistsError):
            os.link(partial, path)
    finally:
        partial.unlink(missing_ok=True)
