"""The local target: two regions and an edge on this machine, without root.

This is the side that runs on the host. It starts the lab's PID 1 and asks it, over the control socket, to do things.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal as signals
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from drills.asking.service import Door
from drills.errors import TargetError
from drills.recording.record import Event, read_events
from drills.spec import Topology
from drills.targets.base import NODE_HEADER, REGION_HEADER, REGIONS, Deployment
from drills.targets.local import control, doctor, timers
from drills.targets.local.abilities import (
    Accelerators,
    Artifacts,
    Directing,
    Leases,
    Partitions,
    Processes,
    Regions,
    Stores,
)
from drills.targets.local.launching import Launcher
from drills.targets.local.plan import STORE_PORT, Plan
from drills.targets.local.services import Settings, find_haproxy, find_valkey

READY_TIMEOUT_S = 40.0
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Never used. Without one httpx loads every certificate of the machine for each request: 40 ms of a core."""
Progress = Callable[[str], None]


class LocalTarget(Processes, Stores, Partitions, Directing, Regions, Accelerators, Artifacts, Leases):
    """Two regions in namespaces. ``ephemeral`` labs die with the process that deployed them."""

    kind = "local"

    def __init__(
        self,
        lab_dir: Path,
        bundle: Path,
        *,
        ephemeral: bool = True,
        port: int = 0,
        progress: Progress | None = None,
    ) -> None:
        self.lab_dir = lab_dir
        self.bundle = bundle
        self.ephemeral = ephemeral
        self.port = port
        self.progress: Progress = progress or (lambda _: None)
        self._control = ""
        self._launcher: Launcher | None = None
        self._deployment: Deployment | None = None

    @property
    def reference(self) -> Path:
        """The file by which other processes find this target."""
        return self.lab_dir / "target.json"

    @property
    def deployment(self) -> Deployment:
        """What is deployed; raises TargetError before ``deploy``."""
        if self._deployment is None:
            raise TargetError("the local target is not deployed")
        return self._deployment

    @classmethod
    def lacks(cls, need: type) -> str | None:
        """Why this host does not let a lab have the ability ``need``, with the remedy; None where it does."""
        return doctor.missing(need)

    @classmethod
    def attach(cls, reference: Path) -> LocalTarget:
        """The target that another process deployed; does not check that it is still there (see ``alive``)."""
        saved = json.loads(reference.read_text())
        about = saved["deployment"]
        bundle = Path(about["bundle"])
        deployment = Deployment(**{**about, "bundle": bundle}, doors=_doors(about["ops_url"]))
        target = cls(reference.parent, bundle, ephemeral=saved["ephemeral"])
        target._control, target._deployment = saved["control"], deployment
        return target

    def alive(self) -> bool:
        """Whether the lab's PID 1 is there; one that is too busy to answer is there."""
        try:
            self._ask("status", timeout_s=5.0)
        except control.Gone:
            return False
        except TargetError:
            return True
        return True

    def deploy(self, topology: Topology) -> Deployment:
        """Start the lab and return once both regions serve; on any error nothing of it is left."""
        begin = time.monotonic()
        find_valkey()
        find_haproxy()
        try:
            self._launcher = Launcher(self.lab_dir, self.ephemeral)
            self._control = self._launcher.control
            settings = self._launcher.launch(topology, self.bundle, self.port)
            self._deployment = self._describe(settings)
            self._save(self._launcher)
            self.progress("starting stores, Sentinels, nodes and the traffic director")
            self._settle("agree", also=self._seed_command(settings))
            self._wait_ready([node for nodes in settings.nodes.values() for node in nodes])
            self._describe_deployed(self._launcher, settings, round(time.monotonic() - begin, 2))
            if not self.ephemeral:
                self._ask("stay")  # the last thing: a lab that is killed half-way must leave nothing
        except BaseException:
            self.teardown()
            raise
        return self.deployment

    def teardown(self) -> None:
        """End the lab: its PID 1 dies, and with it everything in its namespaces; idempotent."""
        with contextlib.suppress(TargetError):
            self._ask("stop", timeout_s=2.0)
        if self._launcher is not None:
            self._launcher.wait(3.0)
        gone = self._wait_gone()
        self._kill_launcher()
        if not gone:
            self._wait_gone()
        if self._launcher is not None:
            self._launcher.close()
        self.reference.unlink(missing_ok=True)

    def reset(self) -> None:
        """Undo every fault, wait until all nodes serve, and make the primary's store the master again.

        Raises TargetError where something could not be undone or does not serve.
        """
        self._ask("heal", timeout_s=30.0)
        nodes = [node for region in REGIONS for node in self.nodes_of(region)]
        self._wait_ready(nodes)
        for node in nodes:
            if self.deployment.accelerator in ("simulated", "cuda"):
                self.restore_accelerator(node)
        self._settle("failback")
        self._wait_ready(nodes)
        self._wait_untorn()
        self._check_unbroken()

    def _check_unbroken(self) -> None:
        """Raise TargetError with whatever the lab still knows to be broken."""
        state = self.status()
        left = [*state["lost"], *(" and ".join(pair) for pair in state["cuts"]), *state["broken"]]
        left += [f"the file of the store of {region}" for region in state["torn"]]
        if left:
            why = "".join(f"; {what}: {error}" for what, error in state["unhealed"].items())
            raise TargetError(f"the lab is still broken: {', '.join(left)}{why}. End it with 'recdr down'")

    def status(self) -> dict[str, Any]:
        """What runs, what is cut, what is lost; raises TargetError where the lab does not answer."""
        answer = self._ask("status")
        assert isinstance(answer, dict)
        return answer

    def nodes_of(self, region: str) -> tuple[str, ...]:
        """The names of a region's nodes."""
        return tuple(self.deployment.nodes[region])

    def observe(self, node: str) -> dict[str, Any] | None:
        """The node's own ``/readyz`` document with ``ready`` added, asked for from the edge; None without answer."""
        try:
            asked = f"{self.deployment.ops_url}/readyz"
            answer = httpx.get(asked, headers={NODE_HEADER: node}, timeout=1.0, verify=_NO_TLS, trust_env=False)
            state = answer.json()
        except (httpx.HTTPError, ValueError):
            return None
        if not isinstance(state, dict) or state.get("node") != node:
            return None
        return {**state, "ready": answer.status_code == httpx.codes.OK}

    def sightings(self, since_ns: int) -> list[Event]:
        """What PID 1 read in the logs of the lab's processes since then."""
        return [event for event in read_events(self.lab_dir / "events.jsonl") if event.t >= since_ns]

    def _describe(self, settings: Settings) -> Deployment:
        ops_url = f"http://127.0.0.1:{settings.ops_port}"
        return Deployment(
            kind=self.kind,
            edge_url=f"http://127.0.0.1:{settings.edge_port}",
            doors=_doors(ops_url),
            ops_url=ops_url,
            nodes=settings.nodes,
            bundle=self.bundle,
            replication=settings.replication,
            accelerator=settings.accelerator,
            about={"edge_port": settings.edge_port, "ops_port": settings.ops_port},
        )

    def _describe_deployed(self, launcher: Launcher, settings: Settings, seconds: float) -> None:
        """Add what is known only of a lab that is up, and write the reference anew."""
        about = {
            "deploy_seconds": seconds,
            "pid_one": launcher.pid_one(),
            "replication": settings.replication,
            "timers": timers.stated((self.observe(self.nodes_of("primary")[0]) or {}).get("timers")),
        }
        self._deployment = dataclasses.replace(self.deployment, about={**self.deployment.about, **about})
        self._save(launcher)

    def _save(self, launcher: Launcher) -> None:
        known = {name: value for name, value in vars(self.deployment).items() if name not in ("service", "doors")}
        saved = {
            "kind": self.kind,
            "control": self._control,
            "ephemeral": self.ephemeral,
            "launcher": launcher.process.pid if launcher.process else None,
            "deployment": {**known, "bundle": str(self.bundle)},
        }
        partial = self.reference.with_suffix(".partial")
        partial.write_text(json.dumps(saved, indent=1))
        partial.replace(self.reference)

    def _seed_command(self, settings: Settings) -> list[str]:
        """Load the users' histories into the master, once it is up."""
        plan = settings.plan
        store = f"{plan.host(plan.store('primary')).address}:{STORE_PORT}"
        key = str(settings.run / "pseudonym.key")
        return ["recsvc.seed", "--bundle", settings.bundle, "--store", store, "--key-file", key]

    def _settle(self, what: str, also: list[str] | None = None) -> None:
        """Run the settling helper (and ``also``) inside the lab; raises TargetError with its last words."""
        plan = Plan({region: self.nodes_of(region) for region in REGIONS})
        tools = {"settle": ["drills.targets.local.settle", what, *plan.sentinels().values()]}
        if also:
            tools["seed"] = also
        for name, argv in tools.items():
            self._ask("run_tool", name=name, argv=argv)
        deadline = time.monotonic() + 2 * READY_TIMEOUT_S
        for name in tools:
            while (answer := self._ask("tool", name=name))["code"] is None:
                if time.monotonic() > deadline:
                    raise TargetError(f"{name} inside the lab did not end; see {self.lab_dir / 'logs'}")
                time.sleep(0.05)
            if answer["code"] != 0:
                raise TargetError(f"the lab did not settle ({name}): {answer['output'].strip()}")

    def _wait_ready(self, nodes: list[str]) -> None:
        deadline, version = time.monotonic() + READY_TIMEOUT_S, self.model_version("current")
        waiting = list(nodes)
        while waiting:
            self._check_running()
            waiting = [node for node in waiting if not _serves(self.observe(node), version)]
            if waiting and time.monotonic() > deadline:
                raise TargetError(
                    f"not ready after {READY_TIMEOUT_S:.0f} s: {', '.join(waiting)}; see {self.lab_dir / 'logs'}"
                )
            if waiting:
                self.progress(f"waiting for {len(waiting)} of {len(nodes)} nodes")
                time.sleep(0.1)

    def _check_running(self) -> None:
        """Raise TargetError with its last words if a process of the lab ended by itself, and nobody starts it again."""
        if not all(self.status()["processes"].values()):
            time.sleep(1.0)
        for name, runs in self.status()["processes"].items():
            if not runs:
                log = self.lab_dir / "logs" / f"{name.replace('/', '-')}.log"
                words = log.read_text(errors="replace").strip()[-1200:] if log.exists() else "(it said nothing)"
                raise TargetError(f"{name} ended by itself: {words}")

    def _wait_gone(self) -> bool:
        """Whether PID 1 went within 5 s: its control socket goes with it."""
        deadline = time.monotonic() + 5.0
        while self._control and time.monotonic() < deadline:
            try:
                control.call(self._control, "status", 1.0)
            except control.Gone:
                return True
            except TargetError:
                continue
            time.sleep(0.05)
        return not self._control

    def _kill_launcher(self) -> None:
        """End a lab that does not listen: its PID 1 dies with the process that launched it."""
        if not self.reference.exists():
            return
        pid = int(json.loads(self.reference.read_text())["launcher"])
        with contextlib.suppress(OSError):
            if b"drills.targets.local.lab" in Path(f"/proc/{pid}/cmdline").read_bytes():  # pids are used again
                os.kill(pid, signals.SIGKILL)


def _serves(state: dict[str, Any] | None, version: str) -> bool:
    """Whether a node is ready, with the model that it should have."""
    return state is not None and bool(state.get("ready")) and state.get("model_version") == version


def _doors(ops_url: str) -> dict[str, Door]:
    return {region: Door(ops_url, {REGION_HEADER: region}) for region in REGIONS}
