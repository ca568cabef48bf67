"""What a prober is told, and the probes that follow from it: which request is due when."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import msgspec

from drills.asking.service import RECSVC, Ask, Asked, Service

SECOND = 1_000_000_000
DEFAULT_RATES = {"probe_read": 50.0, "probe_write": 50.0, "quality": 20.0}


class Question(msgspec.Struct, forbid_unknown_fields=True):
    """An evaluation user (``id`` "q<i>") with the items that were left out of the history, if they are known."""

    id: str
    user: str
    expected: list[str]


class Config(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What to ask, how often, and where to write what came back."""

    url: str
    out: str
    service: Service = msgspec.field(default_factory=lambda: RECSVC)
    trial: int = 0
    headers: dict[str, str] = {}
    """For every request; ``${env:NAME}`` in a value is looked up here."""
    id_prefix: str = ""
    """Event ids are ``<id_prefix>-<n>``; the prefix must be this prober's alone."""
    rates: dict[str, float] = msgspec.field(default_factory=lambda: dict(DEFAULT_RATES))
    """Requests a second; a stream that is left out, 0, or has nothing to ask is off."""
    timeout_s: float = 2.0
    probe_users: list[str] = []
    items: list[str] = []
    quality: list[Question] = []
    k: int = 20
    duration_s: float | None = None
    passes: int | None = None
    """Ask only the quality questions, this often each, and end."""
    events: str | None = None
    """``events.jsonl`` to announce the schedule in (``prober.started``, ``prober.stopped``)."""


@dataclass(frozen=True)
class Probe:
    """One request to be sent at ``due`` (ns)."""

    due: int
    stream: str
    op: str
    id: str | None
    asked: Asked
    question: Question | None = None


def able(service: Service, probe_users: object, items: object, quality: object) -> dict[str, bool]:
    """Which streams there can be: for a service that takes no events there is nothing to write."""
    write = service.write
    return {
        "probe_read": bool(service.read and probe_users),
        "probe_write": bool(
            write and (probe_users or "user" not in write.names) and (items or "item" not in write.names)
        ),
        "quality": bool(service.read and quality),
    }


def active_rates(config: Config) -> dict[str, float]:
    """Requests a second of the streams that are on."""
    active = ["quality"] if config.passes else ["probe_read", "probe_write", "quality"]
    can = able(config.service, config.probe_users, config.items, config.quality)
    return {name: rate for name in active if can[name] and (rate := config.rates.get(name, 0.0)) > 0}


def schedules(config: Config, start: int) -> list[Iterator[Probe]]:
    """The probes of each stream in order of time; offset, so that they do not fall on the same moment."""
    rates = active_rates(config)
    shortest = min((SECOND / rate for rate in rates.values()), default=0.0)
    offsets = {"probe_read": 0.0, "probe_write": 0.5, "quality": 0.25}
    return [
        _stream(config, name, start + round(offsets[name] * shortest), round(SECOND / rate))
        for name, rate in rates.items()
    ]


def _stream(config: Config, stream: str, first: int, interval: int) -> Iterator[Probe]:
    last = config.passes * len(config.quality) if config.passes else None
    make = _PROBES[stream](config)
    number = 0
    while last is None or number < last:
        yield make(first + number * interval, number)
        number += 1


Make = Callable[[int, int], Probe]
"""A stream's probe from when it is due and its number."""


def _reads(config: Config) -> Make:
    users = config.probe_users
    ask = _questions(config, users)

    def make(due: int, number: int) -> Probe:
        index = number % len(users)
        return Probe(due, "probe_read", "recommend", f"u{index}", ask(index, number))

    return make


def _quality(config: Config) -> Make:
    questions = config.quality
    ask = _questions(config, [question.user for question in questions])

    def make(due: int, number: int) -> Probe:
        index = number % len(questions)
        question = questions[index]
        return Probe(due, "quality", "recommend", question.id, ask(index, number), question)

    return make


def _questions(config: Config, users: list[str]) -> Callable[[int, int], Asked]:
    """The read of each user: made once where nothing in it counts, for the time before a probe is dear."""
    ask = _there(config.service.read)

    def fresh(index: int, number: int) -> Asked:
        return ask.render(user=users[index], k=config.k, n=number, prefix=config.id_prefix)

    if "n" in ask.names:
        return fresh
    made = [fresh(index, 0) for index in range(len(users))]
    return lambda index, number: made[index]


def _writes(config: Config) -> Make:
    ask = _there(config.service.write)
    users, items = config.probe_users or [""], config.items or [""]

    def make(due: int, number: int) -> Probe:
        event = f"{config.id_prefix}-{number}"
        user, item = users[number % len(users)], items[number % len(items)]
        asked = ask.render(id=event, user=user, item=item, n=number, prefix=config.id_prefix)
        return Probe(due, "probe_write", "event", event, asked)

    return make


def _there(ask: Ask | None) -> Ask:
    assert ask is not None, "a stream is on only where the service can be asked"
    return ask


_PROBES = {"probe_read": _reads, "probe_write": _writes, "quality": _quality}
