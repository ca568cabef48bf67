"""May this region acknowledge a write now? A pure decision over what was last seen, and when.

Replication modes
- ``async``: stored here is enough, as long as no Sentinel says that another store has become the master.
- ``semisync``: the replica has it too (WAIT), or the replica is gone and this store has *permission* to go on
  alone.
- ``sync``: only with the replica.

Permission to acknowledge alone rests on the Sentinels' words. A word, asked at t, **confirms** our store when
it names us as the master and its flags hold none of s_down, o_down, failover_in_progress. It is valid until

    t + down-after - (age of the ping that the master still owes) - 100 ms, and until t + 300 ms at most.

Time is CLOCK_MONOTONIC, which runs on while a process is stopped: a node that was frozen and wakes finds its
permission expired. Needed are

1. the witness's confirmation, *held* without a gap for longer than 300 ms (`LONGEST_VALIDITY_NS`), or, when
   we were promoted just now, the witness showing its own failover under way with our store as the one it
   promoted;
2. a word of our own site's Sentinel that confirms us, or that is merely behind (names another master under an
   older configuration epoch than the witness has seen);
3. both asked after the replica was found to be gone.

Why two regions never both acknowledge alone. The witness is one process and at any moment names one master.
Suppose the regions A and B both hold permission at time x and the witness's words that A relies on come
before those of B (each unbroken run of words has one configuration epoch, and epochs only grow, so runs do
not interleave). If B waited out rule 1: B acted later than 300 ms after it *received* its first word, which
was spoken after A's last word, which A had asked for before it was spoken; so A's validity was over. If B
used the short cut: the witness itself started that failover (a forced one does not count), so it had marked A
s_down before. It marks a master down no earlier than `down-after` after the ping that stays unanswered was
sent, and each of A's confirmations ends 100 ms before that moment. Should the witness give that failover up
and confirm A again, A waits out rule 1 while B's last word expires.

Why an acknowledged event is not lost when the other region takes over. A promotion needs o_down at its
leader: s_down at the witness (quorum 1) or, at a regional Sentinel (quorum 3), its own s_down together with
the word "down" of both others, the witness among them. The first ends the witness's confirmation of A before
the promotion. The second needs that the witness marked A down itself. (With quorum 2 two regional opinions
were enough, one of them remembered: a split once had the standby promoted that way and lost 181 events that
A had rightly acknowledged alone. The price of 3: without the witness nobody is promoted.) Rule 2 is a second
lock on the same door: A also stops when its own Sentinel no longer confirms it. Rule 3 covers a failover
forced at the witness: B leaves A's replica list only after the witness has begun, so no word asked later
confirms A (force none before a replica that came back has confirmed something: until then A still goes by
older words). What no rule can cover are two losses in a row: the replica is cut off, A rightly goes on alone,
then A dies; or all three Sentinels see A down, A comes back alone, and within the 5 s for which a Sentinel
remembers another's "down" a regional one promotes B all the same. Nor does it cover failovers forced at a
regional Sentinel: force them at the witness.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum, StrEnum

MS = 1_000_000
LONGEST_VALIDITY_NS = 300 * MS
MARGIN_NS = 100 * MS
ROLE_VALID_NS = 500 * MS
"""A ROLE answer older than this says nothing: the store is unreachable."""
REPLICA_FRESH_NS = 400 * MS
"""A replica that confirmed a heartbeat this recently will most likely confirm the next event.

Only little below REPLICA_GONE_NS: the edge must not take a region's writers out for the moment between."""
REPLICA_GONE_NS = 500 * MS
"""Unconfirmed heartbeats for this long mean that the replica is gone."""
DOWN_FLAGS = frozenset({"s_down", "o_down", "failover_in_progress"})


class Replication(StrEnum):
    """How many copies an acknowledgement stands for."""

    ASYNC = "async"
    SEMISYNC = "semisync"
    SYNC = "sync"


@dataclass(frozen=True)
class Word:
    """What one Sentinel said about the master, in the node's own time.

    ``promoted``: it is running an unforced failover of its own and our store is the one it has picked.
    ``silence_ms``: how long the master has already owed it an answer; 0 when it owes none.
    """

    asked_ns: int
    heard_ns: int
    names_us: bool
    flags: frozenset[str]
    silence_ms: int
    down_after_ms: int
    config_epoch: int
    promoted: bool = False

    @property
    def confirms(self) -> bool:
        return self.names_us and not (self.flags & DOWN_FLAGS)

    @property
    def valid_until_ns(self) -> int:
        lease_ns = LONGEST_VALIDITY_NS
        if self.names_us and not self.promoted:
            lease_ns = min(lease_ns, (self.down_after_ms - self.silence_ms) * MS - MARGIN_NS)
        return self.asked_ns + lease_ns


@dataclass(frozen=True)
class Witnessed:
    """An unbroken run of the witness's words for our store.

    ``alone_from_ns``: when rule 1 of the module's text is met.
    """

    word: Word
    alone_from_ns: int


def witnessed(before: Witnessed | None, word: Word) -> Witnessed | None:
    """Fold the witness's next word into the run; None when it does not speak for us."""
    if word.promoted:
        return Witnessed(word, word.heard_ns)
    if not word.confirms:
        return None
    if before is not None and word.asked_ns <= before.word.valid_until_ns and _continues(before.word, word):
        return Witnessed(word, before.alone_from_ns)
    return Witnessed(word, word.heard_ns + LONGEST_VALIDITY_NS)


def _continues(before: Word, word: Word) -> bool:
    # The failover that promoted us raises the epoch when it ends; any other change of epoch is another reign.
    return word.config_epoch == before.config_epoch or (before.promoted and word.names_us)


@dataclass(frozen=True)
class View:
    """Everything seen so far, each with its time (0 or None: never).

    ``gone_since_ns``: since when ROLE listed no replica. One that comes back stays gone until it has confirmed a
    heartbeat: while it copies the data it confirms nothing, and writes must not stop for that.
    ``silent_since_ns``: when the first of the last, unbroken row of unconfirmed heartbeats was sent.
    """

    role: str | None = None
    role_ns: int = 0
    replicas: int = 0
    gone_since_ns: int | None = None
    replica_confirmed_ns: int = 0
    silent_since_ns: int | None = None
    own: Word | None = None
    witness_word: Word | None = None
    witness: Witnessed | None = None

    def saw_role(self, role: str, replicas: int, now_ns: int) -> View:
        """Fold in an answer to ROLE."""
        gone_since = self.gone_since_ns if role == "master" else None
        if role == "master" and replicas == 0:
            gone_since = self._gone_since(now_ns)
        seen = replace(self, role=role, role_ns=now_ns, replicas=replicas, gone_since_ns=gone_since)
        return seen if role == "master" else replace(seen, replica_confirmed_ns=0, silent_since_ns=None)

    def _gone_since(self, now_ns: int) -> int:
        """Since when the replica has been gone, now that ROLE lists none."""
        if self.gone_since_ns is not None:
            return now_ns if self.replicas > 0 else self.gone_since_ns  # it had come back, and went again
        # One that had been silent for long is dropped at last by its master: that is no news.
        silent_since = self.replica_gone_since_ns(now_ns)
        return now_ns if silent_since is None else silent_since

    def saw_heartbeat(self, sent_ns: int, confirmed: bool) -> View:
        """Fold in a heartbeat sent at ``sent_ns`` that the replica did or did not confirm in time."""
        if confirmed:
            return replace(self, replica_confirmed_ns=sent_ns, silent_since_ns=None, gone_since_ns=None)
        return self if self.silent_since_ns is not None else replace(self, silent_since_ns=sent_ns)

    def heard_own(self, word: Word) -> View:
        return replace(self, own=word)

    def heard_witness(self, word: Word) -> View:
        return replace(self, witness_word=word, witness=witnessed(self.witness, word))

    def replica_gone_since_ns(self, now_ns: int) -> int | None:
        """Since when there has been no replica, or None while there may be one."""
        if self.gone_since_ns is not None:
            return self.gone_since_ns
        if self.silent_since_ns is not None and now_ns - self.silent_since_ns >= REPLICA_GONE_NS:
            return self.silent_since_ns
        return None

    def replica_fresh(self, now_ns: int) -> bool:
        return self.replicas > 0 and now_ns - self.replica_confirmed_ns <= REPLICA_FRESH_NS


class Verdict(Enum):
    """What would become of an event posted now."""

    REFUSE = "refuse"
    """Cannot be acknowledged: not even stored."""
    DOUBTFUL = "doubtful"
    """The replica is late but not given up: worth trying, may fail."""
    REPLICATED = "replicated"
    """Will be acknowledged when the replica has it."""
    ALONE = "alone"
    """Will be acknowledged on this copy only."""


@dataclass(frozen=True)
class Decision:
    """A verdict and, in one plain sentence, why."""

    verdict: Verdict
    reason: str

    @property
    def writable(self) -> bool:
        return self.verdict in (Verdict.REPLICATED, Verdict.ALONE)

    @property
    def waits(self) -> bool:
        """Whether WAIT is worth its time."""
        return self.verdict in (Verdict.REPLICATED, Verdict.DOUBTFUL)


def decide(view: View, mode: Replication, now_ns: int) -> Decision:
    """Say what would become of an event posted at ``now_ns``. No I/O: cheap enough for every request."""
    if view.role is None or now_ns - view.role_ns > ROLE_VALID_NS:
        return Decision(Verdict.REFUSE, "The region's store does not answer.")
    if view.role != "master":
        return Decision(Verdict.REFUSE, "The region's store is a replica.")
    if mode is Replication.ASYNC:
        return _decide_async(view, now_ns)
    gone_since_ns = view.replica_gone_since_ns(now_ns)
    if gone_since_ns is not None:
        return _decide_without_replica(view, mode, gone_since_ns, now_ns)
    if view.replica_fresh(now_ns):
        return Decision(Verdict.REPLICATED, "The replica keeps up.")
    return Decision(Verdict.DOUBTFUL, "The replica has not confirmed the last heartbeats.")


def _decide_without_replica(view: View, mode: Replication, gone_since_ns: int, now_ns: int) -> Decision:
    if mode is Replication.SYNC:
        return Decision(Verdict.REFUSE, "The replica is gone, and sync never acknowledges one copy.")
    lacking = _lacking_permission(view, gone_since_ns, now_ns)
    if lacking:
        return Decision(Verdict.REFUSE, f"The replica is gone, and {lacking}")
    return Decision(Verdict.ALONE, "The replica is gone, and the Sentinels confirm this store.")


def acknowledged_copies(view: View, mode: Replication, confirmed_by: int, now_ns: int) -> int | None:
    """Say on how many copies a *stored* event is acknowledged at ``now_ns``, None when it is not.

    ``confirmed_by`` is WAIT's answer, 0 if it was not asked. Called after the store has answered, because a
    permission that was valid when the event was sent may have expired since.
    """
    if confirmed_by >= 1:
        return 1 + confirmed_by
    return 1 if decide(view, mode, now_ns).verdict is Verdict.ALONE else None


def _decide_async(view: View, now_ns: int) -> Decision:
    for word in (view.own, view.witness_word):
        if word is not None and now_ns <= word.valid_until_ns and _contradicts(word, view):
            return Decision(Verdict.REFUSE, "A Sentinel names another store as the master.")
    return Decision(Verdict.ALONE, "Stored here is enough.")


def _contradicts(word: Word, view: View) -> bool:
    return not (word.names_us or word.promoted or _is_behind(word, view))


def _is_behind(word: Word, view: View) -> bool:
    """Whether a Sentinel that names another master has simply not heard yet of what the witness knows."""
    if view.witness is None:
        return False
    known = view.witness.word
    return word.config_epoch < known.config_epoch or (known.promoted and word.config_epoch <= known.config_epoch)


def _lacking_permission(view: View, gone_since_ns: int, now_ns: int) -> str | None:
    run, own = view.witness, view.own
    if run is None or now_ns > run.word.valid_until_ns:
        return "the witness does not confirm this store as the master."
    if own is None or now_ns > own.valid_until_ns or not (own.confirms or _own_is_behind(own, view)):
        return "this site's Sentinel does not confirm this store as the master."
    if now_ns < run.alone_from_ns:
        return "another store's permission may not have expired yet."
    if min(run.word.asked_ns, own.asked_ns) < gone_since_ns:
        return "the Sentinels have not been asked since."
    return None


def _own_is_behind(own: Word, view: View) -> bool:
    return not own.names_us and _is_behind(own, view)


def parse_master(
    fields: Sequence[str],
    replicas: Sequence[Sequence[str]],
    us: tuple[str, int],
    asked_ns: int,
    heard_ns: int,
) -> Word:
    """Read the replies to SENTINEL MASTER and SENTINEL REPLICAS (empty if not asked).

    Raises KeyError or ValueError for an answer of another shape.
    """
    master = _pairs(fields)
    flags = frozenset(master["flags"].split(","))
    silence_ms = int(master["last-ping-sent"])
    if "disconnected" in flags:  # no ping is under way then: down-after counts from the last answer
        silence_ms = max(silence_ms, int(master["last-ok-ping-reply"]))
    running = "failover_in_progress" in flags and "force_failover" not in flags
    return Word(
        asked_ns=asked_ns,
        heard_ns=heard_ns,
        names_us=(master["ip"], int(master["port"])) == us,
        flags=flags,
        silence_ms=silence_ms,
        down_after_ms=int(master["down-after-milliseconds"]),
        config_epoch=int(master["config-epoch"]),
        promoted=running and any(_is_promoted(_pairs(replica), us) for replica in replicas),
    )


def _is_promoted(replica: dict[str, str], us: tuple[str, int]) -> bool:
    return (replica["ip"], int(replica["port"])) == us and "promoted" in replica["flags"].split(",")


def _pairs(fields: Sequence[str]) -> dict[str, str]:
    return dict(zip(fields[::2], fields[1::2], strict=True))
