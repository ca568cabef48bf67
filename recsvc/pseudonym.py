"""User ids are replaced by a keyed hash at the door: the raw id is neither stored nor logged.

Whoever holds the store but not the key can neither read an id nor test a guess. All nodes of all regions
share the key, so that a user's history is found again after a failover.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

MIN_KEY_BYTES = 16
DIGEST_BYTES = 16
"""128 bits: two of a billion users collide with a probability below 1e-20."""


class KeyFileError(Exception):
    """The key file cannot be used; ``str()`` names it and says what to do."""


class Pseudonymiser:
    """Turns user ids into pseudonyms with BLAKE2b in keyed mode (RFC 7693)."""

    def __init__(self, key: bytes) -> None:
        # BLAKE2b takes keys up to 64 bytes; longer ones are condensed first, as HMAC does.
        self._key = key if len(key) <= hashlib.blake2b.MAX_KEY_SIZE else hashlib.blake2b(key).digest()

    @classmethod
    def from_file(cls, path: Path) -> Pseudonymiser:
        """Read the key (at least 16 bytes; surrounding white space does not count); raises `KeyFileError`."""
        try:
            key = path.read_bytes().strip()
        except OSError as error:
            raise KeyFileError(f"{path}: the key file cannot be read ({error.strerror}).") from error
        if len(key) < MIN_KEY_BYTES:
            raise KeyFileError(f"{path}: the key has {len(key)} bytes, at least {MIN_KEY_BYTES} are needed.")
        return cls(key)

    def __call__(self, user: str) -> str:
        """Return 32 hexadecimal digits for a user id."""
        return hashlib.blake2b(user.encode(), key=self._key, digest_size=DIGEST_BYTES).hexdigest()
