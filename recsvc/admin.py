"""The endpoints of a node's admin socket: for drills and rollouts, out of every client's reach."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from recsvc.accelerator import NotFailable
from recsvc.application import Answer, Request, Routes
from recsvc.gpu_trap import TrapError
from recsvc.problems import Problem
from recsvc.requests import FailRequest, LoadRequest, SlowRequest, decode, decoder
from recsvc.rollout import Rollout

ENCODE = msgspec.json.Encoder().encode
ACCEPTED = 202
LAYERS = ("simulated", "context", "process")


class Admin:
    """Handlers over what serves; ``state`` is the node's own view of itself."""

    def __init__(self, rollout: Rollout, state: Callable[[], dict[str, Any]]) -> None:
        self._rollout, self._state = rollout, state
        self._fail_body, self._slow_body = decoder(FailRequest), decoder(SlowRequest)
        self._load_body = decoder(LoadRequest)

    def routes(self) -> Routes:
        return {
            "/accelerator/fail": {"POST": self.fail_accelerator},
            "/accelerator/slow": {"POST": self.slow_accelerator},
            "/accelerator/restore": {"POST": self.restore_accelerator},
            "/model/load": {"POST": self.load_model},
            "/state": {"GET": self.get_state},
        }

    async def get_state(self, request: Request) -> Answer:
        """What /readyz says, whether or not the node is ready."""
        del request
        return Answer(ENCODE(self._state()))

    async def load_model(self, request: Request) -> Answer:
        """Roll out the bundle at ``path``: accepted at once; what becomes of it is `last_rollout` in /readyz."""
        asked = decode(request.body, self._load_body)
        self._rollout.start(Path(asked.path))
        return Answer(ENCODE(self._state()), status=ACCEPTED)

    async def fail_accelerator(self, request: Request) -> Answer:
        """Break the accelerator on purpose."""
        asked, release = decode(request.body, self._fail_body), self._rollout.current
        if asked.layer not in LAYERS:
            raise Problem(422, "invalid", f"layer is one of {', '.join(LAYERS)}.")
        try:
            await release.batcher.in_run_thread(release.accelerator.fail, asked.layer)
        except (NotFailable, TrapError) as error:
            raise Problem(409, "accelerator-not-failable", str(error)) from None
        return Answer(ENCODE(self._state()))

    async def slow_accelerator(self, request: Request) -> Answer:
        """Let every run on the accelerator take ``delay_ms`` longer; 0 takes that back."""
        asked = decode(request.body, self._slow_body)
        try:
            self._rollout.current.accelerator.slow(asked.delay_ms / 1_000)
        except NotFailable as error:
            raise Problem(409, "accelerator-not-failable", str(error)) from None
        return Answer(ENCODE(self._state()))

    async def restore_accelerator(self, request: Request) -> Answer:
        """Take a failure back, and let the accelerator be tried at once."""
        del request
        release = self._rollout.current
        await release.batcher.in_run_thread(release.accelerator.restore)
        return Answer(ENCODE(self._state()))
