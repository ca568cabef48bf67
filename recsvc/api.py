"""The public endpoints of a node."""

from __future__ import annotations

import asyncio
import functools
import secrets
import time
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import msgspec
import numpy as np

from recsvc.answers import Ranked
from recsvc.application import Answer, Request, Routes
from recsvc.aside import Aside
from recsvc.canary import Asked
from recsvc.encoded import Window
from recsvc.explain import Explainer
from recsvc.explanations import Recommended, Searched
from recsvc.identifiers import Identifiers
from recsvc.inference import DeadlinePassed, Job, Overloaded, Ranking
from recsvc.metrics import Metrics, Stage
from recsvc.problems import Problem, not_now
from recsvc.pseudonym import Pseudonymiser
from recsvc.release import Release
from recsvc.requests import (
    MAX_EXPLAINED,
    EventRequest,
    RecommendRequest,
    SearchRequest,
    decode,
    decoder,
    page_of_log,
)
from recsvc.resp import Link, ReplyError, StoreUnavailable
from recsvc.responses import Responses, key_of
from recsvc.rollout import Rollout
from recsvc.search import Found
from recsvc.state import Event, read_history, read_log
from recsvc.timers import TIMERS
from recsvc.watch import Watch
from recsvc.writer import IdReused, NotAcknowledged, QueueFull, Writer

ENCODE = msgspec.json.Encoder().encode
DECIMALS = 1e6
ACCELERATOR_LOST = "accelerator-lost"
HISTORY_UNAVAILABLE = "history-unavailable"
_NO_ITEMS, _NO_SCORES = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)
NOTHING: Mapping[str, Any] = {}
_STORED = {True: "yes", False: "no", None: "unknown"}


@dataclass(frozen=True)
class Identity:
    """Who answers."""

    region: str
    node: str


@dataclass(frozen=True)
class Parts:
    """What a node is made of; see `recsvc.server` for how it is put together."""

    identity: Identity
    rollout: Rollout
    pseudonym: Pseudonymiser
    store: Link
    watch: Watch
    writer: Writer
    metrics: Metrics
    deadline_s: float
    responses: Responses | None = None
    """Answers that are kept for identical requests; None where each is computed."""


class Api:
    """Handlers over a node's parts."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._read_took, self._encode_took = parts.metrics.stages[Stage.STORE_READ], parts.metrics.stages[Stage.ENCODE]
        self._instance = secrets.token_hex(8)
        self._explainer, self._searching = Explainer(), Aside("search")
        # The catalogue: the same in every release that is ever rolled out here.
        self._item_ids = ["", *(item.id for item in parts.rollout.current.bundle.items)]
        self._identifiers = Identifiers(self._item_ids[1:])
        self._index_of = parts.rollout.current.bundle.index_of
        self._recommend_body, self._search_body = decoder(RecommendRequest), decoder(SearchRequest)
        self._event_body = decoder(EventRequest)
        # A node gives the same few answers to who it is, so they are written once.
        self._headers = functools.lru_cache(maxsize=64)(self._write_headers)

    def routes(self) -> Routes:
        return {
            "/v1/recommend": {"POST": self.recommend},
            "/v1/search": {"POST": self.search},
            "/v1/events": {"POST": self.post_event, "GET": self.get_events},
            "/v1/model": {"GET": self.model},
            "/livez": {"GET": self.livez},
            "/readyz": {"GET": self.readyz},
            "/readyz/write": {"GET": self.readyz_write},
        }

    @property
    def _release(self) -> Release:
        """What serves now. It may be another one after the next await, so who computes with it holds on to it."""
        return self._parts.rollout.current

    def _who(self, release: Release | None = None) -> dict[str, str]:
        """Who answers, with ``release`` or else the one that serves now."""
        identity = self._parts.identity
        version = (release or self._release).version
        return {"region": identity.region, "node": identity.node, "model_version": version}

    def identity_headers(self, answer: Answer) -> bytes:
        """The header lines that every answer carries; where nothing was computed they name what is in use now."""
        accelerator = answer.accelerator or self._computing_on()
        degraded = answer.degraded if answer.accelerator else self._release.accelerator.degraded
        return self._headers(answer.model or self._release.version, accelerator, degraded, answer.cached)

    def _write_headers(self, model: str, accelerator: str, degraded: bool, cached: bool) -> bytes:
        identity = self._parts.identity
        lines = [
            f"x-recsvc-region: {identity.region}",
            f"x-recsvc-node: {identity.node}",
            *(["x-recsvc-cache: hit"] if cached else []),
            f"x-recsvc-model: {model}",
            f"x-recsvc-accelerator: {accelerator}",
            f"x-recsvc-degraded: {degraded:d}",
        ]
        return "".join(f"{line}\r\n" for line in lines).encode()

    async def recommend(self, request: Request) -> Answer:
        """The best items for a user that the user has not seen."""
        asked = decode(request.body, self._recommend_body)
        user = self._parts.pseudonym(asked.user)
        seen = await self._history(user)
        release = self._release
        kept, key = self._kept("recommend", asked, user, release, seen)
        if kept:
            return kept
        if not asked.explain:
            ranking = await self._rank(release, user, seen, asked.k)
            return self._keep(key, self._ranked(release, ranking.items, ranking.scores, ranking, seen))
        with release.batcher.held():
            ranking = await self._rank(release, user, seen, asked.k)
            first = ranking.items[:MAX_EXPLAINED], ranking.scores[:MAX_EXPLAINED]
            more = await self._explain(Recommended(release, ranking.user, *first), seen)
        return self._keep(key, self._ranked(release, ranking.items, ranking.scores, ranking, seen, more=more))

    async def search(self, request: Request) -> Answer:
        """The best matches of a query, bent towards the user's taste; seen items are found too."""
        asked = decode(request.body, self._search_body)
        user = self._parts.pseudonym(asked.user)
        seen = await self._history(user)
        release = self._release
        kept, key = self._kept("search", asked, user, release, seen)
        if kept:
            return kept
        with release.batcher.held():
            ranking = self._known(release, user, seen) or await self._rank(release, user, seen, 1)
            found = await self._find(release, asked, ranking)
            more: dict[str, Any] = {"matches": found.matches}
            if asked.explain:
                explained = Searched(release, ranking.user, asked.query, found.first(MAX_EXPLAINED))
                more |= await self._explain(explained, seen)
        return self._keep(key, self._ranked(release, found.items, found.scores, ranking, seen, more=more))

    def _kept(
        self,
        endpoint: str,
        asked: RecommendRequest | SearchRequest,
        user: str,
        release: Release,
        seen: Sequence[int] | None,
    ) -> tuple[Answer | None, bytes | None]:
        """The answer that an identical request got, if there is one, and the key; no key where none may be kept."""
        responses = self._parts.responses
        if responses is None or seen is None or self._why_degraded():
            return None, None
        key = key_of(endpoint, ENCODE(msgspec.structs.replace(asked, user=user)), release.version, seen)
        return responses.find(key), key

    def _keep(self, key: bytes | None, answer: Answer) -> Answer:
        responses = self._parts.responses
        return answer if responses is None else responses.keep(key, answer)

    async def _find(self, release: Release, asked: SearchRequest, ranking: Ranking) -> Found:
        arguments = asked.query, ranking.user, asked.k
        if not release.search.large or release.search.quick(asked.query):
            return release.search.rank(*arguments)
        try:
            return await self._searching.run(self._deadline_s(), release.search.rank, *arguments)
        except (Overloaded, DeadlinePassed) as error:
            raise self._not_in_time(error) from None

    async def _explain(self, answer: Recommended | Searched, seen: Sequence[int] | None) -> dict[str, Any]:
        """The explanations of an answer's items, and how they were found."""
        release = answer.release
        history = (seen or ())[-release.bundle.max_length :]
        deadline_s = self._deadline_s()
        try:
            shares = await self._explainer.explain(release.batcher, history, answer.worth, deadline_s)
        except (Overloaded, DeadlinePassed) as error:
            raise self._not_in_time(error) from None
        return await asyncio.to_thread(answer.document, shares)

    async def ask_canary(self, user: str, k: int) -> Asked | None:
        """What a request for the user would be answered; None where the store or the model cannot say in time."""
        user = self._parts.pseudonym(user)
        seen, release = await self._history(user), self._release
        if seen is None:
            return None
        try:
            ranking = await self._rank(release, user, seen, k)
        except Problem:
            return None
        items = [self._item_ids[index] for index in ranking.items.tolist()]
        return Asked(items, frozenset(self._item_ids[index] for index in seen))

    async def _history(self, user: str) -> Sequence[int] | None:
        """Catalogue indices, newest last; None when the store cannot say. Those of no item are left out."""
        started_s = time.monotonic()
        history = await read_history(self._parts.store, user)
        self._read_took.observe(time.monotonic() - started_s)
        known = len(self._item_ids)
        if not history or (min(history) > 0 and max(history) < known):
            return history
        return array("i", (index for index in history if 0 < index < known))

    async def _rank(self, release: Release, user: str, seen: Sequence[int] | None, k: int) -> Ranking:
        history = seen or ()
        items = len(self._item_ids) - 1
        if k > items - len(history):  # only then does it matter how many of them are the same
            k = min(k, items - len(set(history)))
        job = Job(history[-release.bundle.max_length :], history, k, user)
        try:
            return await release.batcher.rank(job, self._deadline_s())
        except (Overloaded, DeadlinePassed) as error:
            raise self._not_in_time(error) from None

    def _known(self, release: Release, user: str, seen: Sequence[int] | None) -> Ranking | None:
        """The vector alone, where it is kept and the device that computed it is as it should be."""
        if release.encoded is None or release.accelerator.degraded or seen is None:
            return None
        vector = release.encoded.find(Window.of(user, seen[-release.bundle.max_length :]))
        return None if vector is None else Ranking(_NO_ITEMS, _NO_SCORES, vector, release.accelerator.name)

    def _deadline_s(self) -> float:
        """The time of `time.monotonic` by which what begins now must be done."""
        return time.monotonic() + self._parts.deadline_s

    def _not_in_time(self, error: Overloaded | DeadlinePassed) -> Problem:
        if isinstance(error, Overloaded):
            return not_now("overloaded", "The queue for the model is full or too slow.")
        return not_now("deadline", f"No answer within {self._parts.deadline_s:g} s.")

    def _ranked(
        self,
        release: Release,
        items: np.typing.NDArray[np.int64],
        scores: np.typing.NDArray[Any],
        ranking: Ranking,
        seen: Sequence[int] | None,
        *,
        more: Mapping[str, Any] = NOTHING,
    ) -> Answer:
        # Not by what serves now: that may be another release, or have been lost or mended since this was computed.
        lost = ranking.accelerator != release.accelerator.name
        reasons = [*([ACCELERATOR_LOST] if lost else []), *([HISTORY_UNAVAILABLE] if seen is None else [])]
        started_s, identity = time.monotonic(), self._parts.identity
        document = Ranked(
            items=cast("list[str]", self._identifiers.json(items)),  # written already; msgspec takes it as it is
            scores=(np.rint(scores.astype(np.float64) * DECIMALS) / DECIMALS).tolist(),
            region=identity.region,
            node=identity.node,
            model_version=release.version,
            accelerator=ranking.accelerator,
            degraded=bool(reasons),
            degraded_reason=",".join(reasons) or None,
            cold=not seen,
            **more,
        )
        answer = Answer(
            ENCODE(document), degraded=bool(reasons), accelerator=ranking.accelerator, model=release.version
        )
        self._encode_took.observe(time.monotonic() - started_s)
        return answer

    def _why_degraded(self) -> Sequence[str]:
        return [ACCELERATOR_LOST] if self._release.accelerator.degraded else []

    async def post_event(self, request: Request) -> Answer:
        """Store an event once and acknowledge it as the replication mode demands."""
        asked = decode(request.body, self._event_body)
        index = self._index_of.get(asked.item)
        if index is None:
            raise Problem(422, "unknown-item", f"The catalogue has no item {asked.item!r}.")
        event = Event(asked.id, self._parts.pseudonym(asked.user), asked.item, index)
        if self._release.encoded is not None:
            self._release.encoded.drop(event.user)
        try:
            outcome = await self._parts.writer.store(event)
        except QueueFull:
            raise not_now("overloaded", "Too many events wait to be stored.", stored=False) from None
        except IdReused:
            raise Problem(409, "id-reused", "This id was given to another event before.") from None
        except NotAcknowledged as error:
            self._parts.metrics.unacknowledged[_STORED[error.stored]] += 1
            raise _not_acknowledged(error) from None
        self._parts.metrics.acknowledged[outcome.copies] += 1
        document = {
            "id": asked.id,
            "acknowledged": True,
            "copies": outcome.copies,
            "duplicate": outcome.duplicate,
            **self._who(),
        }
        return Answer(ENCODE(document))

    async def get_events(self, request: Request) -> Answer:
        """A page of the local store's event log, in stored order."""
        after, limit = page_of_log(request.query)
        try:
            events = await read_log(self._parts.store, after, limit)
        except (StoreUnavailable, ReplyError) as error:
            raise not_now("store-unavailable", f"The region's store: {error}.") from None
        following = events[-1]["cursor"] if len(events) == limit else None
        return Answer(ENCODE({"events": events, "next": following, **self._who()}))

    async def model(self, request: Request) -> Answer:
        """The manifest of the bundle that serves, with what became of the last rollout."""
        del request
        release, rollout = self._release, self._parts.rollout
        now = {"last_rollout": rollout.document(), "variant": release.variant.document()}
        return Answer(ENCODE({**release.bundle.manifest, **now, **self._who(release)}))

    async def livez(self, request: Request) -> Answer:
        """The process answers."""
        del request
        return Answer(ENCODE({"live": True, **self._who()}))

    async def readyz(self, request: Request) -> Answer:
        """200 when recommendations can be made from real histories. Asked often, so it touches nothing."""
        del request
        if not self._parts.watch.store_ready():
            raise not_now("not-ready", "The region's store does not answer or is loading.", **self.state())
        return Answer(ENCODE({**self.state(), "timers": TIMERS}))

    async def readyz_write(self, request: Request) -> Answer:
        """200 when an event posted now would be acknowledged. Asked often, so it touches nothing."""
        del request
        decision = self._parts.watch.decision()
        if not decision.writable:
            raise not_now("not-ready", decision.reason, **self.state())
        return Answer(ENCODE(self.state()))

    def state(self) -> dict[str, Any]:
        """The node's own view of itself."""
        parts, view, accelerator = self._parts, self._parts.watch.view, self._release.accelerator
        decision, reasons = parts.watch.decision(), self._why_degraded()
        return {
            **self._who(),
            "instance": self._instance,
            "accelerator": self._computing_on(),
            "last_rollout": parts.rollout.document(),
            "accelerator_wanted": accelerator.name,
            "variant": self._release.variant.document(),
            "accelerator_state": accelerator.state.value,
            "accelerator_reason": accelerator.reason,
            "accelerator_restarts": accelerator.restarts,
            "xids": {str(xid): count for xid, count in accelerator.xids.items()},
            "degraded": bool(reasons),
            "degraded_reason": ",".join(reasons) or None,
            "store_ready": parts.watch.store_ready(),
            "store_role": view.role,
            "store_offset": parts.watch.copied.offset,
            "store_linked": parts.watch.copied.linked,
            "seeded": parts.watch.seeded,
            "replication": parts.watch.place.mode.value,
            "replicas": view.replicas,
            "writable": decision.writable,
            "write_verdict": decision.verdict.value,
            "write_reason": decision.reason,
            "copies_possible": parts.watch.copies_possible(),
        }

    def _computing_on(self) -> str:
        accelerator = self._release.accelerator
        return "cpu" if accelerator.degraded else accelerator.name

    def labels(self) -> dict[str, str]:
        """What Prometheus is told of who this is."""
        role = self._parts.watch.view.role or "unknown"
        return {**self._who(), "accelerator": self._computing_on(), "store_role": role}


def _not_acknowledged(error: NotAcknowledged) -> Problem:
    fate = {
        True: "It is stored here, and may be kept or lost",
        False: "It was not stored",
        None: "Whether it was stored is not known",
    }[error.stored]
    detail = f"{error} {fate}: send it again with the same id."
    return not_now("not-acknowledged", detail, stored=error.stored)
