"""The decision about writes, from literal views, and a search for two regions that both go on alone."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsvc import fence
from recsvc.fence import MS, Replication, Verdict, View, Word, acknowledged_copies, decide, parse_master

NOW = 10_000 * MS
US = ("10.77.1.10", 6379)


def word(asked_ms: float = -10, **changes: object) -> Word:
    """A word that confirms us, asked at this many ms from NOW and heard 1 ms later."""
    asked_ns = NOW + int(asked_ms * MS)
    base = Word(asked_ns, asked_ns + MS, True, frozenset({"master"}), 0, 1500, 4)
    return replace(base, **changes)  # type: ignore[arg-type]


def confirmed_for(milliseconds: int, *, until_ms: int = -10, **changes: object) -> View:
    """A master without a replica that both Sentinels have confirmed every 50 ms for so long."""
    view = View().saw_role("master", 0, NOW - milliseconds * MS)
    for asked_ms in range(-milliseconds, until_ms + 1, 50):
        view = view.heard_own(word(asked_ms)).heard_witness(word(asked_ms, down_after_ms=400, **changes))
    return view.saw_role("master", 0, NOW - 5 * MS)


def verdict(view: View, mode: Replication = Replication.SEMISYNC, now_ns: int = NOW) -> Verdict:
    return decide(view, mode, now_ns).verdict


def with_replica(confirmed_ms: float) -> View:
    view = View().saw_role("master", 1, NOW - 5 * MS)
    return view.saw_heartbeat(NOW + int(confirmed_ms * MS), True)


ALL = list(Replication)


@pytest.mark.parametrize("mode", ALL)
def test_unknown_stale_or_replica_role_refuses(mode: Replication) -> None:
    assert verdict(View(), mode) is Verdict.REFUSE
    assert verdict(View().saw_role("master", 1, NOW - 501 * MS), mode) is Verdict.REFUSE
    assert verdict(View().saw_role("slave", 0, NOW), mode) is Verdict.REFUSE


@pytest.mark.parametrize("mode", [Replication.SEMISYNC, Replication.SYNC])
def test_replica_that_keeps_up_then_late_then_gone(mode: Replication) -> None:
    assert verdict(with_replica(-50), mode) is Verdict.REPLICATED
    assert verdict(with_replica(-401), mode) is Verdict.DOUBTFUL
    silent = with_replica(-700).saw_heartbeat(NOW - 499 * MS, False).saw_heartbeat(NOW - 350 * MS, False)
    assert verdict(silent, mode) is Verdict.DOUBTFUL
    assert verdict(silent, mode, NOW + MS) is Verdict.REFUSE, "gone, and no Sentinel has been heard"
    assert verdict(silent.saw_heartbeat(NOW, True), mode, NOW + MS) is Verdict.REPLICATED


def test_alone_needs_both_sentinels_and_a_held_confirmation() -> None:
    assert verdict(confirmed_for(400)) is Verdict.ALONE
    assert verdict(confirmed_for(250)) is Verdict.REFUSE, "another's permission may still run"
    assert verdict(confirmed_for(400), Replication.SYNC) is Verdict.REFUSE
    assert verdict(replace(confirmed_for(400), own=None)) is Verdict.REFUSE
    assert verdict(replace(confirmed_for(400), witness=None)) is Verdict.REFUSE


def test_permission_expires_by_the_clock_alone() -> None:
    """As for a process that is stopped and continued: nothing new was heard, only time has passed."""
    view = confirmed_for(400)
    last_ns = view.witness.word.asked_ns if view.witness else 0
    fresh_role = replace(view, role_ns=last_ns + 301 * MS)
    assert verdict(fresh_role, now_ns=last_ns + 300 * MS) is Verdict.ALONE
    assert verdict(fresh_role, now_ns=last_ns + 301 * MS) is Verdict.REFUSE


@pytest.mark.parametrize("flag", sorted(fence.DOWN_FLAGS))
def test_flags_end_the_confirmation(flag: str) -> None:
    flags = frozenset({"master", flag})
    assert verdict(confirmed_for(400).heard_witness(word(flags=flags))) is Verdict.REFUSE
    assert verdict(confirmed_for(400).heard_own(word(flags=flags))) is Verdict.REFUSE


def test_owed_ping_shortens_validity_to_before_s_down() -> None:
    assert word(0, down_after_ms=400, silence_ms=0).valid_until_ns == NOW + 300 * MS
    assert word(0, down_after_ms=400, silence_ms=250).valid_until_ns == NOW + 50 * MS
    assert word(0, down_after_ms=400, silence_ms=390).valid_until_ns < NOW


def test_gap_in_the_run_starts_the_wait_anew() -> None:
    view = confirmed_for(1000, until_ms=-400).heard_witness(word(-50)).heard_own(word(-50))
    assert verdict(view) is Verdict.REFUSE
    assert verdict(confirmed_for(1000).heard_witness(word(-5, config_epoch=5))) is Verdict.REFUSE, "another reign"


def test_confirmations_must_be_younger_than_the_loss() -> None:
    """A replica that left because it was promoted: only words asked since then count."""
    view = confirmed_for(400)
    just_gone = replace(view, gone_since_ns=NOW - 5 * MS)
    assert verdict(just_gone) is Verdict.REFUSE
    assert verdict(just_gone.heard_own(word(-4)).heard_witness(word(-4, down_after_ms=400))) is Verdict.ALONE


def promotion(epoch: int = 4) -> Word:
    flags = frozenset({"master", "s_down", "o_down", "failover_in_progress"})
    return word(names_us=False, flags=flags, down_after_ms=400, silence_ms=900, promoted=True, config_epoch=epoch)


def test_promoted_just_now_goes_on_alone_at_once() -> None:
    """The witness leads the failover to us; our own Sentinel still names the dead master."""
    behind = word(names_us=False, flags=frozenset({"master", "s_down"}), silence_ms=900)
    view = View().saw_role("master", 0, NOW - 20 * MS).heard_own(behind).heard_witness(promotion())
    assert verdict(view) is Verdict.ALONE
    assert verdict(view, Replication.ASYNC) is Verdict.ALONE
    assert verdict(view.heard_own(word(names_us=False, config_epoch=5))) is Verdict.REFUSE, "it knows better"
    ended = view.heard_witness(word(-8, down_after_ms=400, config_epoch=5))
    assert verdict(ended) is Verdict.ALONE, "the end of the failover does not break the run"


def test_async_stops_when_a_sentinel_names_another() -> None:
    master = View().saw_role("master", 0, NOW)
    assert verdict(master, Replication.ASYNC) is Verdict.ALONE
    assert verdict(master.heard_own(word(names_us=False)), Replication.ASYNC) is Verdict.REFUSE
    assert verdict(master.heard_witness(word(names_us=False)), Replication.ASYNC) is Verdict.REFUSE
    old = master.heard_own(word(-400, names_us=False))
    assert verdict(old, Replication.ASYNC) is Verdict.ALONE, "an old word says nothing about now"


def test_copies_that_an_acknowledgement_stands_for() -> None:
    assert acknowledged_copies(with_replica(-50), Replication.SEMISYNC, 1, NOW) == 2
    assert acknowledged_copies(with_replica(-50), Replication.SEMISYNC, 0, NOW) is None
    assert acknowledged_copies(confirmed_for(400), Replication.SEMISYNC, 0, NOW) == 1
    assert acknowledged_copies(confirmed_for(400), Replication.SEMISYNC, 0, NOW + 400 * MS) is None
    assert acknowledged_copies(confirmed_for(400), Replication.SYNC, 0, NOW) is None
    assert acknowledged_copies(View().saw_role("master", 0, NOW), Replication.ASYNC, 0, NOW) == 1


def fields(**changes: object) -> list[str]:
    base = {"ip": US[0], "port": US[1], "flags": "master", "last-ping-sent": 0, "last-ok-ping-reply": 40}
    base |= {"down-after-milliseconds": 400, "config-epoch": 3}
    changed = {**base, **{name.replace("_", "-"): value for name, value in changes.items()}}
    return [str(part) for pair in changed.items() for part in pair]


def test_sentinels_answers_are_read() -> None:
    assert parse_master(fields(), [], US, 1, 2).confirms
    assert not parse_master(fields(port=6380), [], US, 1, 2).confirms
    assert not parse_master(fields(flags="s_down,master"), [], US, 1, 2).confirms
    assert parse_master(fields(flags="master,disconnected"), [], US, 1, 2).silence_ms == 40
    mine = fields(flags="slave,promoted")
    failing_over = fields(port=6380, flags="s_down,o_down,master,failover_in_progress")
    assert parse_master(failing_over, [mine], US, 1, 2).promoted
    assert not parse_master(failing_over, [fields(flags="slave")], US, 1, 2).promoted
    forced = fields(port=6380, flags="master,failover_in_progress,force_failover")
    assert not parse_master(forced, [mine], US, 1, 2).promoted, "no s_down came before a forced failover"
    with pytest.raises(KeyError):
        parse_master(["ip", "1.2.3.4"], [], US, 1, 2)


@dataclass
class SimulatedWitness:
    """A Sentinel's view of its master by Sentinel's own rules, moved on in steps of 5 ms by chance.

    Whatever can happen to it happens: unanswered pings, its own failovers (only after s_down), given-up ones,
    forced ones, and news of failovers that others led.
    """

    chance: random.Random
    master: str = "A"
    epoch: int = 1
    owed_since_ms: int | None = None
    failover: str | None = None
    down_after_ms: int = 400
    forced: bool = field(default=False)

    def step(self, now_ms: int) -> None:
        if self.owed_since_ms is None and self.chance.random() < 0.02:
            self.owed_since_ms = now_ms
        elif self.owed_since_ms is not None and self.chance.random() < 0.01:
            self.owed_since_ms = None
        if self.failover is None:
            self.begin(now_ms)
        elif self.chance.random() < 0.05:
            self.end()

    def down(self, now_ms: int) -> bool:
        return self.owed_since_ms is not None and now_ms - self.owed_since_ms > self.down_after_ms

    def begin(self, now_ms: int) -> None:
        other = "B" if self.master == "A" else "A"
        if self.down(now_ms) and self.chance.random() < 0.3:
            self.failover, self.forced = other, False
        elif self.chance.random() < 0.003:
            self.failover, self.forced = other, True
        elif self.chance.random() < 0.003:
            self.master, self.epoch, self.owed_since_ms = other, self.epoch + 1, None

    def end(self) -> None:
        if self.failover is not None and self.chance.random() < 0.6:
            self.master, self.epoch, self.owed_since_ms = self.failover, self.epoch + 1, None
        self.failover = None

    def says(self, to: str, asked_ms: int, now_ms: int, heard_ms: int) -> Word:
        flags = {"master"} | ({"s_down", "o_down"} if self.down(now_ms) else set())
        flags |= {"failover_in_progress"} if self.failover else set()
        silence_ms = 0 if self.owed_since_ms is None else now_ms - self.owed_since_ms
        promoted = self.failover == to and not self.forced
        words = (self.master == to, frozenset(flags), silence_ms, self.down_after_ms, self.epoch, promoted)
        return Word(asked_ms * MS, heard_ms * MS, *words)


def alone_at(seed: int, *, steps: int = 600) -> Iterator[set[str]]:
    """Yield, for each moment, the regions that would acknowledge alone.

    The worst is assumed of everything else: both stores say that they are masters, neither has a replica, and
    each region's own Sentinel confirms it always. Only the witness stands between them.
    """
    chance = random.Random(seed)
    witness = SimulatedWitness(chance)
    views = {region: View().saw_role("master", 0, 0) for region in "AB"}
    asked: dict[str, tuple[int, int, int]] = {}  # region -> when asked, when answered, when heard
    answers: dict[str, Word] = {}
    for now_ms in range(0, steps * 5, 5):
        witness.step(now_ms)
        for region in "AB":
            if region not in asked and chance.random() < 0.2:
                there = now_ms + 5 * chance.choice((0, 0, 0, 1, 20))
                asked[region] = (now_ms, there, there + 5 * chance.choice((0, 0, 0, 1, 20)))
            asked_ms, answered_ms, heard_ms = asked.get(region, (0, -1, -1))
            if answered_ms == now_ms:
                answers[region] = witness.says(region, asked_ms, now_ms, heard_ms)
            view = views[region].saw_role("master", 0, now_ms * MS)
            view = view.heard_own(Word(now_ms * MS, now_ms * MS, True, frozenset({"master"}), 0, 1500, 0))
            if region in asked and heard_ms == now_ms:
                view = view.heard_witness(answers.pop(region))
                del asked[region]
            views[region] = view
        yield {r for r in "AB" if decide(views[r], Replication.SEMISYNC, now_ms * MS).verdict is Verdict.ALONE}


@settings(max_examples=150, deadline=None)
@given(st.integers(min_value=0))
def test_two_regions_never_both_go_on_alone(seed: int) -> None:
    assert all(len(regions) < 2 for regions in alone_at(seed))


def test_the_simulation_would_find_a_broken_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the wait for another's permission it finds two; with it, single regions do go on alone."""
    assert any(regions for seed in range(5) for regions in alone_at(seed))
    monkeypatch.setattr(fence, "_continues", lambda before, after: True)
    monkeypatch.setattr(
        fence,
        "witnessed",
        lambda before, word: fence.Witnessed(word, 0) if word.confirms or word.promoted else None,
    )
    assert any(len(regions) == 2 for seed in range(300) for regions in alone_at(seed))


def test_a_silent_replica_that_is_dropped_at_last_is_no_news() -> None:
    """The store gives a silent replica up after seconds; writes that go on alone must not stop for that."""
    view = View().saw_role("master", 1, NOW).saw_heartbeat(NOW, confirmed=False)
    later = NOW + 3000 * MS
    assert view.replica_gone_since_ns(later) == NOW
    assert view.saw_role("master", 0, later).replica_gone_since_ns(later) == NOW


def test_a_replica_that_comes_back_is_gone_until_it_confirms_something() -> None:
    view = View().saw_role("master", 0, NOW).saw_role("master", 1, NOW + MS)
    assert view.replica_gone_since_ns(NOW + 2 * MS) == NOW
    assert view.saw_role("master", 0, NOW + 3 * MS).replica_gone_since_ns(NOW + 3 * MS) == NOW + 3 * MS
    assert view.saw_heartbeat(NOW + 2 * MS, confirmed=True).replica_gone_since_ns(NOW + 3 * MS) is None
