"""What is stored of a baseline: one JSON document each (docs/measuring.md holds the schema)."""

from __future__ import annotations

from typing import Any

import msgspec

SCHEMA_VERSION = 1


class Steady(msgspec.Struct, frozen=True):
    """A measure with nothing broken; ``low`` and ``high`` are the extremes over slices of the recording, if sliced."""

    value: float
    low: float | None = None
    high: float | None = None


class Baseline(msgspec.Struct, frozen=True, kw_only=True):
    """A recording with nothing broken.

    ``quality``: question ("q0") -> hits, ``lists``: question -> ids listed through the edge, ``regions``: region -> the
    same through its own door; only what was answered. ``gaps``: what was not observed, as sentences. ``accepted_at``:
    None for a candidate; of one key and kind of host the baseline accepted last counts.
    """

    schema_version: int
    id: str
    key: str
    drill: str
    recorded_at: str
    recorded_in: str
    accepted_at: str | None
    note: str
    conditions: dict[str, Any]
    host: dict[str, Any]
    versions: dict[str, str]
    seconds: float
    measures: dict[str, Steady]
    quality: dict[str, int]
    lists: dict[str, list[str]]
    regions: dict[str, dict[str, list[str]]]
    gaps: list[str]

    def event(self, *, new: bool, host_differences: list[str]) -> dict[str, Any]:
        """The data of ``baseline.recorded``, from which the measures take what they compare with."""
        return {
            "id": self.id,
            "fingerprint": self.key,
            "recorded_in": self.recorded_in,
            "recorded_at": self.recorded_at,
            "new": new,
            "same_host": not host_differences,
            "host_differences": host_differences,
            "measures": {name: steady.value for name, steady in self.measures.items()},
            "quality": self.quality,
            "lists": self.lists,
            "regions": self.regions,
        }


class _Versioned(msgspec.Struct):
    schema_version: int


def decode(content: bytes) -> Baseline:
    """The baseline in a file; raises ValueError, with a sentence, for anything else."""
    try:
        version = msgspec.json.decode(content, type=_Versioned).schema_version
        if version != SCHEMA_VERSION:
            raise ValueError(f"it has schema version {version}, this recdr reads {SCHEMA_VERSION}")
        return msgspec.json.decode(content, type=Baseline)
    except msgspec.ValidationError as error:
        raise ValueError(f"it is no baseline of this version of recdr ({error})") from error
    except msgspec.DecodeError as error:
        raise ValueError(f"it is not JSON ({error})") from error
