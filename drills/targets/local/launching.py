"""How a lab's first process comes to be: sockets bound on the host, the process started with them, its first answer."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import secrets
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from drills.errors import HostError, TargetError
from drills.interruption import held
from drills.processes import die_with_parent
from drills.spec import Topology
from drills.targets.local import control
from drills.targets.local.plan import Plan
from drills.targets.local.services import Settings

UP_TIMEOUT_S = 40.0
LAST_WORDS = 800


@dataclass
class Launcher:
    """Starts the process that becomes a lab's PID 1, and ends it.

    ``control`` is the name of the lab's control socket. ``ephemeral`` labs die with this process; another one does so
    until it is told to stay: it holds the other end of ``deploying``.
    """

    lab_dir: Path
    ephemeral: bool
    control: str = field(default_factory=lambda: f"recdr-{os.getuid()}-{secrets.token_hex(8)}")
    deploying: int | None = None
    process: subprocess.Popen[bytes] | None = None

    def launch(self, topology: Topology, bundle: Path, port: int) -> Settings:
        """Bind the sockets on the host, start PID 1 with them, and wait until it answers."""
        for folder in ("run", "logs"):
            (self.lab_dir / folder).mkdir(parents=True, exist_ok=True)
        for stale in ("events.jsonl", "intent.jsonl"):  # of an earlier lab, perhaps from before a reboot
            (self.lab_dir / stale).unlink(missing_ok=True)
        with contextlib.ExitStack() as stack:
            edge, ops = (stack.enter_context(bind(number)) for number in (port, 0))
            listener = stack.enter_context(control.listen(self.control))
            deployer, self.deploying = os.pipe()
            stack.callback(os.close, deployer)
            settings = Settings(
                nodes=Plan.of(topology).nodes,
                replication=topology.replication,
                accelerator=topology.accelerator or "auto",
                bundle=str(bundle),
                lab_dir=str(self.lab_dir),
                edge_port=edge.getsockname()[1],
                ops_port=ops.getsockname()[1],
                edge_fd=edge.fileno(),
                ops_fd=ops.fileno(),
                control_fd=listener.fileno(),
                deployer_fd=deployer,
                ephemeral=self.ephemeral,
            )
            self._start(settings)
        self._wait_up()
        return settings

    def _start(self, settings: Settings) -> None:
        chosen = self.lab_dir / "settings.json"
        chosen.write_text(json.dumps(dataclasses.asdict(settings), indent=1))
        with (self.lab_dir / "logs" / "lab.log").open("wb") as log, held():  # or nobody would know what to end
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "drills.targets.local.lab", str(chosen)],
                pass_fds=(settings.edge_fd, settings.ops_fd, settings.control_fd, settings.deployer_fd),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent if self.ephemeral else None,  # noqa: PLW1509 - its one thread holds no lock
            )

    def _wait_up(self) -> None:
        assert self.process is not None
        deadline = time.monotonic() + UP_TIMEOUT_S
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise self._error(self.process.returncode)
            try:
                control.call(self.control, "status", 5.0)
            except TargetError:
                time.sleep(0.05)
            else:
                return
        raise TargetError(f"the lab did not come up within {UP_TIMEOUT_S:.0f} s; see {self.lab_dir / 'logs'}")

    def _error(self, code: int) -> Exception:
        words = (self.lab_dir / "logs" / "lab.log").read_text(errors="replace").strip()
        if code == control.EXIT_FORBIDDEN:
            return HostError(f"this machine does not let you make namespaces ({words}): run 'recdr doctor'")
        return TargetError(f"the lab's first process ended with {code}: {words[-LAST_WORDS:]}")

    def pid_one(self) -> int | None:
        """The lab's PID 1 as the host counts processes; None where the kernel does not tell."""
        assert self.process is not None
        pid = self.process.pid
        try:
            return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
        except (OSError, IndexError):
            return None

    def wait(self, seconds: float) -> None:
        """Wait until the process is gone; after ``seconds`` it is killed, and PID 1 dies with it."""
        if self.process is not None:
            try:
                self.process.wait(timeout=seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def close(self) -> None:
        """Let go of the end by which PID 1 knows that whoever deploys it lives; idempotent."""
        if self.deploying is not None:
            os.close(self.deploying)
            self.deploying = None


def bind(port: int) -> socket.socket:
    """A listening socket on the loopback; port 0 lets the kernel choose a free one."""
    server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        server.bind(("127.0.0.1", port))
    except OSError as error:
        server.close()
        raise HostError(f"port {port} on 127.0.0.1 cannot be used ({error.strerror}): choose another --port") from error
    server.listen(1024)
    return server
