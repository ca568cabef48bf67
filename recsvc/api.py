"""What clients ask a node for: recommendations, search, events."""

from __future__ import annotations

import asyncio
import time
from array import array
from collections.abc import Mapping, Sequence
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
from recsvc.metrics import Stage
from recsvc.parts import Parts
from recsvc.problems import Problem, not_now
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
from recsvc.resp import ReplyError, StoreUnavailable
from recsvc.responses import key_of
from recsvc.search import Found
from recsvc.standing import ACCELERATOR_LOST, Standing
from recsvc.state import Event, read_history, read_log
from recsvc.writer import IdReused, NotAcknowledged, QueueFull

ENCODE = msgspec.json.Encoder().encode
DECIMALS = 1e6
HISTORY_UNAVAILABLE = "history-unavailable"
_NO_ITEMS, _NO_SCORES = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)
NOTHING: Mapping[str, Any] = {}
_STORED = {True: "yes", False: "no", None: "unknown"}


class Api:
    """Handlers over a node's parts."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._read_took, self._encode_took = parts.metrics.stages[Stage.STORE_READ], parts.metrics.stages[Stage.ENCODE]
        self.standing = Standing(parts)
        self._explainer, self._searching = Explainer(), Aside("search")
        # The catalogue: the same in every release that is ever rolled out here.
        self._item_ids = ["", *(item.id for item in parts.rollout.current.bundle.items)]
        self._identifiers = Identifiers(self._item_ids[1:])
        self._index_of = parts.rollout.current.bundle.index_of
        self._recommend_body, self._search_body = decoder(RecommendRequest), decoder(SearchRequest)
        self._event_body = decoder(EventRequest)

    def routes(self) -> Routes:
        return {
            "/v1/recommend": {"POST": self.recommend},
            "/v1/search": {"POST": self.search},
            "/v1/events": {"POST": self.post_event, "GET": self.get_events},
        }

    @property
    def _release(self) -> Release:
        """What serves now. It may be another one after the next await, so who computes with it holds on to it."""
        return self._parts.rollout.current

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
        if responses is None or seen is None or self._release.accelerator.degraded:
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
            **self.standing.who(),
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
        return Answer(ENCODE({"events": events, "next": following, **self.standing.who()}))


def _not_acknowledged(error: NotAcknowledged) -> Problem:
    fate = {
        True: "It is stored here, and may be kept or lost",
        False: "It was not stored",
        None: "Whether it was stored is not known",
    }[error.stored]
    detail = f"{error} {fate}: send it again with the same id."
    return not_now("not-acknowledged", detail, stored=error.stored)
