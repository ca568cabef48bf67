"""What a measure must read, from the server's books alone; each function takes one trial's books."""

from __future__ import annotations

import math
from collections.abc import Callable

from drills.calibration import shop
from drills.calibration.books import SECOND, Books, Served
from drills.measures import Settings

Truth = Callable[[Books], float]
_READS = ("probe_read", "quality")
_FORGIVEN = Settings().quality_window - math.ceil(Settings().quality_ratio * Settings().quality_window - 1e-9)


def none(_: Books) -> float:
    """Nothing of the kind happened, or what happened is below what the definition calls an outage."""
    return 0.0


def whole(books: Books) -> float:
    """Seconds from the script's first edge to its last."""
    return (books.edges.end - books.edges.begin) / SECOND


def all_but_one_failure(stream: str) -> Truth:
    """Seconds until the first answer of ``stream`` after its last failure but one.

    For a window of 2 s tolerates one failure in 100: the last of scattered failures does not count as outage.
    """

    def truth(books: Books) -> float:
        asked = books.of(stream)
        last_but_one = [s for s in asked if not s.ok][-2]
        back = next(s for s in asked if s.ok and s.t_arrived > last_but_one.t_arrived)
        return (back.t_arrived - books.edges.begin) / SECOND

    return truth


def quality_back(books: Books) -> float:
    """Seconds until no window of 100 held more degraded lists than the 5 % of hits that the definition forgives.

    All users have the same hits in the baseline and none in a degraded list, so 5 % of hits are 5 lists.
    """
    poor = [s for s in books.of("quality") if s.ok and s.hits == 0]
    return (poor[-_FORGIVEN].t_arrived - books.edges.begin) / SECOND


def recall(books: Books) -> float:
    """Mean of hits over left-out items of the answered quality requests."""
    answers = [s.hits / shop.EXPECTED for s in books.of("quality") if s.ok]
    return sum(answers) / len(answers)


def good_lists(books: Books) -> float:
    """Share of the held-out users' answers that were the baseline's own list; the others shared no item with it."""
    answers = [s for s in books.of("quality") if s.ok]
    return sum(s.hits > 0 for s in answers) / len(answers)


def availability(books: Books) -> float:
    """Share of requests that were answered with a 2xx."""
    return sum(s.ok for s in books.since) / len(books.since)


def throughput_rps(books: Books) -> float:
    """Answers with a 2xx a second, from the script's begin to the trial's end."""
    begin, end = books.edges.begin, books.until
    return sum(s.ok and begin <= (s.t_answered or 0) < end for s in books.served) / ((end - begin) / SECOND)


def failed_reads(books: Books) -> float:
    """Reads that were not answered with a 2xx."""
    return sum(not s.ok for s in books.of(*_READS))


def failed_writes(books: Books) -> float:
    """Writes that were not answered with a 2xx."""
    return sum(not s.ok for s in books.of("probe_write"))


def read_latency_ms(share: float, *, acting: bool) -> Truth:
    """Percentile of the time (ms) from a read's arrival to its answer; ``acting``: only while the script lasted."""

    def truth(books: Books) -> float:
        reads = [s for s in (books.acting if acting else books.since) if s.stream == "probe_read"]
        spans = sorted(s.t_answered - s.t_arrived for s in reads if s.t_answered is not None)
        return spans[math.ceil(share * len(spans)) - 1] / 1e6

    return truth


def lost(books: Books) -> float:
    """Writes that were acknowledged and that a region did not store."""
    return len(_lost(books))


def oldest_lost_s(books: Books) -> float:
    """Greatest distance (s) between the fault and the acknowledgement of a lost write; 0 if none was lost."""
    return max((abs((s.t_answered or 0) - books.edges.begin) / SECOND for s in _lost(books)), default=0.0)


def doubled(books: Books) -> float:
    """Writes that a region stored more than once."""
    return sum(max(s.copies.values(), default=0) > 1 for s in books.writes())


def hidden(books: Books) -> float:
    """Writes that were stored though not acknowledged."""
    return sum(not s.ok and any(s.copies.values()) for s in books.writes())


def delayed(books: Books) -> float:
    """Writes that were acknowledged and that a region showed too late."""
    return sum(s.ok and s.delayed for s in books.writes())


def split(books: Books) -> float:
    """Acknowledgements that returned to a region after another had acknowledged, with no hand-over between.

    The regions take turns from the script's begin to its end, and both are hand-overs: the first turn of each is none.
    """
    turns = [s.region for s in books.acting if s.stream == "probe_write" and s.ok]
    return max(0, len(turns) - turns.index("standby") - 1) if "standby" in turns else 0


def _lost(books: Books) -> list[Served]:
    return [s for s in books.writes() if s.ok and not all(s.copies.values())]
