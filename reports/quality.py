"""Who answered in which phase, with which model, and how good that was: the requests, counted region by region."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from reports import cleaning, happenings
from reports.columns import Flags, Floats, Requests
from reports.facts import Trial

_MOST_MODELS = 4


@dataclass(frozen=True)
class Part:
    """The successful answers of one region in one phase.

    ``degraded``: how many said of themselves that they were. ``recall`` and ``same_users`` (what the baseline had for
    the very same users) are over the ``asked`` quality probes among them; None where there were none, or no baseline.
    ``models``: version -> answers, the commonest first.
    """

    phase: str
    region: str
    answers: int
    degraded: int
    asked: int
    recall: float | None
    same_users: float | None
    models: dict[str, int]


def parts(trial: Trial, baseline: dict[str, Any]) -> list[Part]:
    """A part for each phase and region that answered in it, by the moment each request was due.

    Empty where no answer names a region or a model. ``baseline`` is the data of the event ``baseline.recorded``.
    """
    requests = trial.requests
    if not requests.regions or not (requests.models or (requests.quality & ~np.isnan(requests.hits)).any()):
        return []
    base = _hits_in_baseline(requests, cleaning.mapping(baseline.get("quality")))
    found = []
    for phase, begin, end in happenings.spans(trial.clock):
        due = requests.ok & (requests.due >= begin) & (requests.due < end)
        for code, region in enumerate(requests.regions):
            own = due & (requests.region == code)
            if own.any():
                found.append(_part(phase, region, requests, own, base))
    return found


def _part(phase: str, region: str, requests: Requests, own: Flags, base: Floats) -> Part:
    probes = own & requests.quality & ~np.isnan(requests.hits) & (requests.expected > 0)
    expected = float(requests.expected[probes].sum())
    same = float(base[probes].sum())
    return Part(
        phase=phase,
        region=region,
        answers=int(own.sum()),
        degraded=int((own & requests.degraded).sum()),
        asked=int(probes.sum()),
        recall=float(requests.hits[probes].sum()) / expected if expected else None,
        same_users=same / expected if expected and not np.isnan(same) else None,
        models=_models(requests, own),
    )


def _models(requests: Requests, own: Flags) -> dict[str, int]:
    codes = requests.model[own & (requests.model >= 0)]
    counts = np.bincount(codes, minlength=len(requests.models))
    order = np.argsort(-counts, kind="stable")
    return {requests.models[code]: int(counts[code]) for code in order if counts[code]}


def _hits_in_baseline(requests: Requests, hits: dict[str, Any]) -> Floats:
    """What the baseline had for the user of each quality probe; NaN for everything else. [n]"""
    base = np.full(len(requests), np.nan)
    asked = np.flatnonzero(requests.quality)
    known = {user: cleaning.number(value) for user, value in hits.items()}
    ids = requests.ids.take(asked).to_pylist()
    base[asked] = np.array([known.get(user or "") for user in ids], dtype=np.float64)
    return base


def versions(part: Part) -> str:
    """The model versions of a part in words, with their shares where there are several."""
    if not part.models:
        return "not said"
    total = sum(part.models.values())
    if len(part.models) == 1 and total == part.answers:
        return next(iter(part.models))
    shown = [f"{version} ({_share(n, part.answers)})" for version, n in list(part.models.items())[:_MOST_MODELS]]
    more = len(part.models) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def degraded(part: Part) -> str:
    return _share(part.degraded, part.answers) if part.degraded else "none"


def _share(some: int, of: int) -> str:
    """A share in percent that never rounds something to nothing, nor a part to the whole."""
    percent = 100 * some / of
    if 0 < percent < 0.1:
        return "under 0.1 %"
    if 99.9 < percent < 100:
        return "over 99.9 %"
    return f"{percent:.1f} %" if percent % 1 else f"{percent:.0f} %"
