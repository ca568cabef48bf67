"""The outages of known shape, and what each measure must read of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from drills.calibration import truth
from drills.calibration.books import Manner, Stretch
from drills.calibration.truth import Truth
from drills.targets.base import REGIONS

READ_INTERVAL_S = 1 / 50
QUALITY_INTERVAL_S = 1 / 20
ALLOWANCE_S = 0.005
RTO_BOUND_S = READ_INTERVAL_S + ALLOWANCE_S
"""An outage's end is seen by the first probe after it: one interval late at most, and what the host adds."""
QUALITY_BOUND_S = QUALITY_INTERVAL_S + ALLOWANCE_S
LATENCY_BOUND_MS = 10.0
"""A client's latency counts from the due time and holds the way there and back; the server's does not."""
SHARE_BOUND = 0.01
"""A request under way at an edge may count to either side: one or two of some hundred."""
THROUGHPUT_BOUND_RPS = 1.0
"""The same: one or two answers in more than 2 s."""
LONG_AFTER_S = 2.25
"""A recovery is one once it has held for a whole window (2 s)."""
SHORT_AFTER_S = 0.3
"""Enough where no recovery is to be judged."""
QUALITY_AFTER_S = 5.5
"""The same for a window of 100 quality requests."""
OUTAGES_S = (0.1, 0.5, 2.0, 5.0)


@dataclass(frozen=True)
class Expected:
    """``measure`` (as ``measure_trial`` calls it) must read ``truth`` within ``bound``; a bound of 0 means exactly.

    ``evidence``: it is this entry of the measure's evidence that is meant.
    """

    measure: str
    truth: Truth
    bound: float = 0.0
    evidence: str | None = None

    @property
    def name(self) -> str:
        return f"{self.measure}.{self.evidence}" if self.evidence else self.measure


@dataclass(frozen=True)
class Shape:
    """A script, what it must be read as, and how long (s) the server then stays bright so that this can be judged."""

    name: str
    meaning: str
    script: tuple[Stretch, ...]
    expected: tuple[Expected, ...]
    after_s: float = LONG_AFTER_S
    note: str | None = None

    @property
    def acting_s(self) -> float:
        """How long the script lasts."""
        return sum(stretch.seconds for stretch in self.script)


def every_shape(*, quick: bool = False) -> list[Shape]:
    """All shapes; ``quick`` leaves out the long outages."""
    lengths = [s for s in OUTAGES_S if s < 1 or not quick]
    return [
        *(_dark(manner, s) for manner in ("drops", "refuses") for s in lengths),
        _holds_briefly(0.1),
        *([] if quick else [_dark("holds", 2.0)]),
        *(_errors(s) for s in lengths),
        _slow(0.5 if quick else 2.0),
        _flapping(0.3),
        _half(1.0),
        _degraded(2.0),
        *_of_writes(0.5),
    ]


def _both(truth_: Truth) -> tuple[Expected, ...]:
    """Both recovery times of an outage that hits reads and writes alike."""
    return tuple(Expected(name, truth_, RTO_BOUND_S) for name in ("rto_read_s", "rto_write_s"))


def _dark(manner: Manner, seconds: float) -> Shape:
    how = {"drops": "never answers", "refuses": "refuses connections", "holds": "answers all at its return"}[manner]
    return Shape(
        f"dark-{manner}-{seconds:g}",
        f"dark for {seconds:g} s, {how}",
        (Stretch(manner, seconds),),
        (*_both(truth.whole), Expected("rpo_events", truth.none)),
    )


def _holds_briefly(seconds: float) -> Shape:
    return Shape(
        f"dark-holds-{seconds:g}",
        f"dark for {seconds:g} s, answers all at its return",
        (Stretch("holds", seconds),),
        (*_both(truth.none), Expected("failed_reads", truth.none), Expected("failed_writes", truth.none)),
        note="every request is answered within 0.4 s, so by its definition this is no outage and must read 0",
    )


def _errors(seconds: float) -> Shape:
    return Shape(
        f"errors-{seconds:g}",
        f"answers 503 for {seconds:g} s",
        (Stretch("errors", seconds),),
        (*_both(truth.whole), *_counts()),
    )


def _counts() -> tuple[Expected, ...]:
    """What can be counted exactly where every request is answered."""
    return (
        Expected("failed_reads", truth.failed_reads),
        Expected("failed_writes", truth.failed_writes),
        Expected("availability", truth.availability, SHARE_BOUND),
        Expected("throughput_rps", truth.throughput_rps, THROUGHPUT_BOUND_RPS),
    )


def _slow(seconds: float) -> Shape:
    return Shape(
        f"slow-{seconds:g}",
        f"answers after 0.6 s, for {seconds:g} s",
        (Stretch("slow", seconds),),
        (
            *_both(truth.whole),
            Expected("p50_ms@during", truth.read_latency_ms(0.50, acting=True), LATENCY_BOUND_MS),
            Expected("p99_ms", truth.read_latency_ms(0.99, acting=False), LATENCY_BOUND_MS),
            Expected("failed_reads", truth.none),
        ),
    )


def _flapping(seconds: float) -> Shape:
    dark, bright = Stretch("errors", seconds), Stretch("bright", 0.5)
    return Shape(
        "flapping",
        f"three times dark for {seconds:g} s, bright for 0.5 s between",
        (dark, bright, dark, bright, dark),
        (*_both(truth.whole), *_counts()),
    )


def _half(seconds: float) -> Shape:
    return Shape(
        "half",
        f"every other request is answered with 503, for {seconds:g} s",
        (Stretch("errors", seconds, every=2),),
        (
            Expected("rto_read_s", truth.all_but_one_failure("probe_read"), RTO_BOUND_S),
            Expected("rto_write_s", truth.all_but_one_failure("probe_write"), RTO_BOUND_S),
            *_counts(),
        ),
        note="one failure in a window of 100 probes is tolerated, so the outage ends after the last failure but one",
    )


def _degraded(seconds: float) -> Shape:
    return Shape(
        "degraded",
        f"lists without hits for {seconds:g} s",
        (Stretch("degraded", seconds),),
        (
            *_both(truth.none),
            Expected("rto_quality_s", truth.quality_back, QUALITY_BOUND_S),
            Expected("recall_at_20", truth.recall, SHARE_BOUND),
            Expected("overlap_at_20", truth.good_lists, SHARE_BOUND),
        ),
        after_s=QUALITY_AFTER_S,
        note="a window of 100 lists forgives 5 % of the hits, so quality is back 5 lists before the last bad one",
    )


def _of_writes(seconds: float) -> Sequence[Shape]:
    """Shapes of which only the writes tell: what was stored, how often, where, and when."""

    def shape(name: str, meaning: str, manner: Manner, every: int, regions: tuple[str, ...]) -> Shape:
        stretch = Stretch(manner, seconds, every=every, regions=regions)
        return Shape(name, f"{meaning}, for {seconds:g} s", (stretch,), _LEDGER, after_s=SHORT_AFTER_S)

    return [
        shape("lost-in-one", "acknowledges writes that the standby does not store", "loses", 3, REGIONS[1:]),
        shape("lost-in-both", "acknowledges writes that nobody stores", "loses", 4, REGIONS),
        shape("doubled", "stores writes twice in one region", "doubles", 3, REGIONS[:1]),
        shape("unacknowledged", "stores writes and answers 503", "hides", 3, ()),
        shape("stale", "the standby shows writes only after a second reading", "delays", 2, REGIONS[1:]),
        shape("split-brain", "both regions acknowledge in turn", "splits", 1, ()),
    ]


_LEDGER = (
    Expected("rpo_events", truth.lost),
    Expected("rpo_s", truth.oldest_lost_s, ALLOWANCE_S),
    Expected("duplicated_events", truth.doubled),
    Expected("rpo_events", truth.hidden, evidence="recovered"),
    Expected("stale_events", truth.delayed),
    Expected("split_brain_events", truth.split),
)
