"""What a node says of itself: who it is, what serves on what, and whether it is ready."""

from __future__ import annotations

import functools
import secrets
from typing import Any

import msgspec

from recsvc.application import Answer, Request, Routes
from recsvc.parts import Parts
from recsvc.problems import not_now
from recsvc.release import Release
from recsvc.timers import TIMERS

ENCODE = msgspec.json.Encoder().encode
ACCELERATOR_LOST = "accelerator-lost"


class Standing:
    """Handlers that compute nothing, and the header lines of every answer."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._instance = secrets.token_hex(8)
        # A node gives the same few answers to who it is, so they are written once.
        self._lines = functools.lru_cache(maxsize=64)(self._write_lines)

    def routes(self) -> Routes:
        return {
            "/v1/model": {"GET": self.model},
            "/livez": {"GET": self.livez},
            "/readyz": {"GET": self.readyz},
            "/readyz/write": {"GET": self.readyz_write},
        }

    @property
    def _release(self) -> Release:
        return self._parts.rollout.current

    def who(self, release: Release | None = None) -> dict[str, str]:
        """Who answers, with ``release`` or else the one that serves now."""
        identity = self._parts.identity
        version = (release or self._release).version
        return {"region": identity.region, "node": identity.node, "model_version": version}

    def headers(self, answer: Answer) -> bytes:
        """The header lines that every answer carries; where nothing was computed they name what is in use now."""
        accelerator = answer.accelerator or self._computing_on()
        degraded = answer.degraded if answer.accelerator else self._release.accelerator.degraded
        return self._lines(answer.model or self._release.version, accelerator, degraded, answer.cached)

    def _write_lines(self, model: str, accelerator: str, degraded: bool, cached: bool) -> bytes:
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

    async def model(self, request: Request) -> Answer:
        """The manifest of the bundle that serves, with what became of the last rollout."""
        del request
        release, rollout = self._release, self._parts.rollout
        now = {"last_rollout": rollout.document(), "variant": release.variant.document()}
        return Answer(ENCODE({**release.bundle.manifest, **now, **self.who(release)}))

    async def livez(self, request: Request) -> Answer:
        """The process answers."""
        del request
        return Answer(ENCODE({"live": True, **self.who()}))

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
        decision = parts.watch.decision()
        return {
            **self.who(),
            "instance": self._instance,
            "accelerator": self._computing_on(),
            "last_rollout": parts.rollout.document(),
            "accelerator_wanted": accelerator.name,
            "variant": self._release.variant.document(),
            "accelerator_state": accelerator.state.value,
            "accelerator_reason": accelerator.reason,
            "accelerator_restarts": accelerator.restarts,
            "xids": {str(xid): count for xid, count in accelerator.xids.items()},
            "degraded": accelerator.degraded,
            "degraded_reason": ACCELERATOR_LOST if accelerator.degraded else None,
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
        return {**self.who(), "accelerator": self._computing_on(), "store_role": role}
