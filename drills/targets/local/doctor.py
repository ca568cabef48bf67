"""What this machine allows: each thing the local target needs, tried for real in a child process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from drills.errors import HostError
from drills.targets.base import Delayable, RealGpu, Shapeable
from drills.targets.local.services import find_haproxy, find_valkey

_TRY = """
import sys
from pathlib import Path
import os
from drills.targets.local import namespaces
from drills.targets.local.network import Network
from drills.targets.local.plan import Plan
what = sys.argv[1]
namespaces.become_root()
pid = os.fork()
if pid:
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
if what != "namespaces":
    namespaces.private_mounts()
    namespaces.mount("proc", Path("/proc"))
if what == "network":
    lab = Network(Plan({"primary": ("primary/node-1",), "standby": ("standby/node-1",)}))
    lab.cut("primary", "standby")
    lab.mend("primary", "standby")
if what in ("rate", "netem"):
    from drills.targets.local import shaping
    shaping.try_out({"rate_mbit": 1} if what == "rate" else {"latency_ms": 1})
"""


@dataclass(frozen=True)
class Check:
    """One thing that was tried. ``needed`` False: recdr works without it."""

    name: str
    ok: bool
    found: str
    remedy: str = ""
    needed: bool = True


def checks() -> Iterator[Check]:
    """Everything a local lab needs, the most basic first; what rests on something that is missing is not tried."""
    yield _system()
    yield _program("Valkey", find_valkey)
    yield _program("HAProxy", find_haproxy)
    basic = namespaces()
    yield basic
    if basic.ok:
        yield _try("mounts", "a private /proc in them", "containers: --security-opt systempaths=unconfined")
        yield _try("network", "veth pairs, routes and blackhole rules in them", "load the kernel module veth")
        for ability, (what, remedy) in _SHAPING.items():
            yield _try(what, _NAMES[ability], f"{remedy}; only drills with the fault link need it", needed=False)
    yield _accelerator()


_SHAPING: dict[type, tuple[str, str]] = {
    Shapeable: ("rate", "load the kernel modules sch_htb and cls_u32, or use a kernel that has them"),
    Delayable: ("netem", "load the kernel module sch_netem (linux-modules-extra), or use a kernel that has it"),
}
_NAMES: dict[type, str] = {
    Shapeable: "links of a given rate (htb, u32)",
    Delayable: "links with latency and loss (netem)",
}


def missing(need: type) -> str | None:
    """Why a lab on this host cannot have the ability ``need``, with the remedy; None where it can."""
    if need is RealGpu and not gpu_present():
        return (
            "its layer is about a real GPU, and this machine shows none (there is no /dev/nvidia0). Write layer: "
            "simulated, or layer: auto for what the machine allows; containers need --gpus all"
        )
    return _missing_in_kernel(need)


@cache
def _missing_in_kernel(need: type) -> str | None:
    """The same for what the kernel must have; it is tried once."""
    if need not in _SHAPING or not namespaces().ok:  # without namespaces there is no lab: that is said elsewhere
        return None
    what, remedy = _SHAPING[need]
    tried = _try(what, _NAMES[need], remedy)
    return None if tried.ok else f"this kernel does not make {tried.name} ({tried.found}). To allow it: {remedy}"


def gpu_present() -> bool:
    """Whether this machine shows an NVIDIA GPU to its users."""
    return any(Path("/dev").glob("nvidia[0-9]*"))


def namespaces() -> Check:
    """Whether this user may make the namespaces that a lab is made of."""
    return _try("namespaces", "user, network, mount and PID namespaces without root", _namespace_remedy())


def require() -> None:
    """Raise HostError, with the remedy, where a lab cannot run on this machine; takes about 0.2 s."""
    find_valkey()
    find_haproxy()
    if not (check := namespaces()).ok:
        raise HostError(
            f"this machine does not let you make namespaces ({check.found}). To allow it: {check.remedy}. "
            "'recdr doctor' tries everything a lab needs."
        )


def _system() -> Check:
    cpus = len(os.sched_getaffinity(0))
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    enough = cpus >= 2 and memory_gib >= 3
    return Check("machine", enough, f"{cpus} CPUs, {memory_gib:.1f} GiB", "a lab needs 2 CPUs and 3 GiB")


def _program(name: str, find: Callable[[], str]) -> Check:
    try:
        path = find()
    except HostError as error:
        return Check(name, False, "not found", str(error))
    version = subprocess.run([path, "-v"], capture_output=True, text=True, timeout=10, check=False).stdout
    words = " ".join(version.split()[:3]) or "it does not run"
    return Check(name, bool(version), words, f"{path} cannot be run")


def _try(what: str, name: str, remedy: str, *, needed: bool = True) -> Check:
    tried = subprocess.run(
        [sys.executable, "-P", "-c", _TRY, what], capture_output=True, text=True, timeout=30, check=False
    )
    words = (tried.stderr.strip().splitlines() or [""])[-1]
    return Check(name, tried.returncode == 0, "works" if tried.returncode == 0 else words[:120], remedy, needed)


def _namespace_remedy() -> str:
    if _sysctl("kernel/apparmor_restrict_unprivileged_userns") == "1":
        return "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu restricts them through AppArmor)"
    if _sysctl("kernel/unprivileged_userns_clone") == "0":
        return "sudo sysctl kernel.unprivileged_userns_clone=1"
    if _sysctl("user/max_user_namespaces") == "0":
        return "sudo sysctl user.max_user_namespaces=10000"
    return "in a container allow unshare(2): --security-opt seccomp=unconfined --security-opt apparmor=unconfined"


def _sysctl(name: str) -> str:
    try:
        return Path("/proc/sys", name).read_text().strip()
    except OSError:
        return ""


def _accelerator() -> Check:
    gpus = sorted(path.name for path in Path("/dev").glob("nvidia[0-9]*"))
    found = ", ".join(gpus) or "none: GPU drills use a simulated accelerator, and say so"
    return Check("accelerator", bool(gpus), found, "", needed=False)
