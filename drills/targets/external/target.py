"""The external target: a service that recdr did not deploy, reached by the URLs and the hooks of its drill."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from drills import hooks
from drills.errors import TargetError
from drills.hooks import Ended, Place
from drills.privacy import redacted, vault
from drills.recording.record import Event
from drills.spec import ServiceSettings
from drills.targets.base import Deployment
from drills.targets.looking import look

HEALTHY_TIMEOUT_S = 60.0
ASK_EVERY_S = 0.2
MISFITS = 10
"""So many whole answers in a row that are not what the drill says: waiting will not change what they look like."""
Progress = Callable[[str], None]


class Reference(msgspec.Struct):
    """What other processes need to find the service.

    The run's directory holds it without secrets and without users; for as long as something may be left to heal, its
    vault holds it with the one user who is asked for to see whether the service answers.
    """

    kind: str
    settings: ServiceSettings
    logs: str


def _path(kind: type[Any], text: Any) -> Any:
    """Paths are the only thing in there that JSON does not know."""
    return kind(text)


class ExternalTarget:
    """A service behind ``settings.edge``. It has no ability to be broken: that is for ``drills.faults.custom``."""

    kind = "external"

    def __init__(self, settings: ServiceSettings, run_dir: Path, *, progress: Progress | None = None) -> None:
        self.settings = settings
        self.reference = run_dir / "target.json"
        self.place = Place(settings.folder, run_dir / "logs" / hooks.LOG)
        self.progress: Progress = progress or (lambda _: None)
        self.deploy_seconds: float | None = None

    @classmethod
    def lacks(cls, need: type) -> str | None:
        """Nothing depends on this host: what the target is able to do, its class has."""
        return None

    @classmethod
    def attach(cls, reference: Path) -> ExternalTarget:
        """The service that another process drills, or drilled."""
        raw = vault.kept(reference.parent, reference.name) or reference.read_bytes()
        saved = msgspec.json.decode(raw, type=Reference, dec_hook=_path)
        target = cls(saved.settings, reference.parent)
        target.place = Place(saved.settings.folder, Path(saved.logs))
        return target

    @property
    def deployment(self) -> Deployment:
        """The service as the drill file describes it."""
        settings = self.settings
        known = {"user": settings.users, "item": settings.items, "query": settings.queries}
        return Deployment(
            kind=self.kind,
            edge_url=settings.edge,
            service=settings.service,
            doors=settings.regions,
            sample={name: values[0] for name, values in known.items() if values},
            about={} if self.deploy_seconds is None else {"deploy_seconds": self.deploy_seconds},
        )

    @property
    def own(self) -> bool:
        """Whether the drill deploys the service for itself, and takes it down again."""
        return {"deploy", "teardown"} <= self.settings.hooks.keys()

    def deploy(self) -> Deployment:
        """Run the deploy hook, if there is one, and wait until the service is healthy; raises TargetError.

        What its own deploy hook started and did not become healthy is torn down again.
        """
        self._save()
        begin = time.monotonic()
        try:
            if "deploy" in self.settings.hooks:
                self.progress(f"deploying {self.settings.service.name}")
                self.run_hook("deploy")
            self._wait_healthy()
        except BaseException:
            if "deploy" in self.settings.hooks:
                self.teardown()
            raise
        self.deploy_seconds = round(time.monotonic() - begin, 2)
        return self.deployment

    def teardown(self) -> None:
        """Run the teardown hook, if there is one; one that fails is told, not raised, for the run is over."""
        if "teardown" in self.settings.hooks:
            ended = hooks.run("teardown", self.settings.hooks["teardown"], self.place)
            if not ended.ok:
                self.progress(f"the hook {ended.text}")

    def leave(self) -> None:
        """Leave the service after a run: torn down if there is a hook for it, else failed back; problems are told."""
        if "teardown" in self.settings.hooks:
            self.teardown()
        elif "fail_back" in self.settings.hooks:
            ended = hooks.run("fail_back", self.settings.hooks["fail_back"], self.place)
            if not ended.ok:
                self.progress(f"the hook {ended.text}")

    def reset(self) -> None:
        """Fail back, where there is a hook for it, and wait until the service is healthy; raises TargetError."""
        if "fail_back" in self.settings.hooks:
            self.run_hook("fail_back")
        self._wait_healthy()

    def run_hook(self, name: str) -> Ended:
        """Run the hook ``name``; raises TargetError where it fails or the drill has none of that name."""
        if name not in self.settings.hooks:
            raise TargetError(f"the drill has no hook {name!r}: add it to service.hooks")
        return hooks.must(name, self.settings.hooks[name], self.place)

    def nodes_of(self, region: str) -> tuple[str, ...]:
        """None: what runs in the regions is not known."""
        return ()

    def sightings(self, since_ns: int) -> list[Event]:
        """None: nobody watches the service from the inside."""
        return []

    def observe(self, node: str) -> dict[str, Any] | None:
        """None: what runs in the regions is not known."""
        return None

    def health(self) -> str | None:
        """What is wrong with the service; None where nothing is.

        The status hook says so or, without one, a read through the edge that is answered as it should be.
        """
        return self._health()[0]

    def _health(self) -> tuple[str | None, bool]:
        """What is wrong, and whether it is that a whole answer does not look as the drill says."""
        if "status" in self.settings.hooks:
            ended = hooks.run("status", self.settings.hooks["status"], self.place)
            return None if ended.ok else f"the hook {ended.text}", False
        (seen,) = look(replace(self.deployment, doors={}), ("recommend",)).values()
        if seen.error is None:
            return None, False
        why = f": {seen.misfit}" if seen.misfit else ""
        return f"a read through the edge: {seen.error}{why}", seen.misfit is not None

    def _wait_healthy(self) -> None:
        deadline, misfits = time.monotonic() + HEALTHY_TIMEOUT_S, 0
        name = f"{self.settings.service.name} at {self.settings.edge}"
        while True:
            wrong, misfit = self._health()
            if wrong is None:
                return
            misfits = misfits + 1 if misfit else 0
            if misfits == MISFITS:
                raise TargetError(
                    f"{name} answers, but not as the drill says: {wrong}. Mend the drill; if the service answers so "
                    "while it starts, add service.hooks.status, which is waited for."
                )
            if time.monotonic() > deadline:
                raise TargetError(f"{name} is not healthy after {HEALTHY_TIMEOUT_S:.0f} s: {wrong}")
            self.progress(f"waiting for {self.settings.service.name}: {wrong}")
            time.sleep(ASK_EVERY_S)

    def _save(self) -> None:
        settings = self.settings
        needed = replace(settings, users=settings.users[:1], items=settings.items[:1], held_out={})
        saved = Reference(self.kind, needed, str(self.place.log))
        vault.keep(self.reference.parent, self.reference.name, msgspec.json.encode(saved, enc_hook=str))
        shown = msgspec.to_builtins(Reference(self.kind, replace(needed, users=()), saved.logs), enc_hook=str)
        partial = self.reference.with_suffix(".partial")
        partial.write_bytes(msgspec.json.encode(redacted(shown)))
        partial.replace(self.reference)

    @property
    def whole(self) -> bool:
        """Whether it can be asked; not by who comes after a run with which all was well: nobody knows any user then."""
        return bool(self.settings.users)
