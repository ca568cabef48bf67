"""Wait until the lab's stores and Sentinels agree; give the mastership back to the primary.

Run inside the lab, at the router: ``python -m drills.targets.local.settle agree|failback SENTINEL...`` with the
witness first. Ends with 0, or with 1 and one line that says what was still missing.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from valkey import Valkey
from valkey.exceptions import ValkeyError

from drills.targets.local import timers
from drills.targets.local.plan import MASTER_NAME, SENTINEL_PORT, STORE_PORT

AGREE_TIMEOUT_S = 25.0
_PERIODS_MS = {
    "INFO-PERIOD": timers.SENTINEL_INFO_MS,
    "PUBLISH-PERIOD": timers.SENTINEL_PUBLISH_MS,
    "PING-PERIOD": timers.SENTINEL_PING_MS,
    "ASK-PERIOD": timers.SENTINEL_ASK_MS,
}


def agree(addresses: list[str], master: str | None = None) -> str:
    """What is still missing for all Sentinels to see one master, its replica in step, and each other; empty: nothing.

    ``master`` is the address that the master must have, where it matters.
    """
    for address in addresses:
        with _connect(address, SENTINEL_PORT) as sentinel:
            periods = [str(word) for pair in _PERIODS_MS.items() for word in pair]
            sentinel.execute_command("SENTINEL", "DEBUG", *periods)
            state = _pairs(sentinel.execute_command("SENTINEL", "MASTER", MASTER_NAME))
            replicas = [_pairs(r) for r in sentinel.execute_command("SENTINEL", "REPLICAS", MASTER_NAME)]
            missing = _disagreement(state, replicas, len(addresses) - 1, master)
            if missing:
                return f"the Sentinel at {address}: {missing}"
            try:
                sentinel.execute_command("SENTINEL", "CKQUORUM", MASTER_NAME)
            except ValkeyError as error:
                return f"the Sentinel at {address}: {error}"
    return _out_of_step(state["ip"])


def failback(addresses: list[str], primary: str) -> str:
    """Ask the witness to make ``primary`` the master again; empty once asked for or not needed."""
    if missing := agree(addresses):
        return missing
    with _connect(addresses[0], SENTINEL_PORT) as witness:
        if _pairs(witness.execute_command("SENTINEL", "MASTER", MASTER_NAME))["ip"] == primary:
            return ""
        witness.execute_command("SENTINEL", "FAILOVER", MASTER_NAME)
    return ""


def _disagreement(state: dict[str, str], replicas: list[dict[str, str]], peers: int, master: str | None) -> str:
    if state["flags"] != "master":
        return f"the master is {state['flags']}"
    if master and state["ip"] != master:
        return f"the master is {state['ip']}, not {master}"
    if int(state["num-other-sentinels"]) != peers:
        return f"knows {state['num-other-sentinels']} of {peers} other Sentinels"
    ready = [r for r in replicas if r["flags"] == "slave" and r["master-link-status"] == "ok"]
    return "" if len(ready) == 1 else f"sees {len(ready)} of 1 replicas in step"


def _out_of_step(master: str) -> str:
    with _connect(master, STORE_PORT) as store:
        info = store.info("replication")
    replica = info.get("slave0", {})
    if replica.get("state") != "online":
        return "the replica is not online at the master"
    return ""


def _connect(address: str, port: int) -> Valkey:
    return Valkey(host=address, port=port, socket_timeout=1.0, decode_responses=True, protocol=2)


def _pairs(flat: list[str] | dict[str, str]) -> dict[str, str]:
    if isinstance(flat, dict):
        return {str(key): str(value) for key, value in flat.items()}
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _until(check: Callable[[], str], timeout_s: float) -> str:
    """Ask ``check`` until nothing is missing; returns what was still missing after ``timeout_s``."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            missing = check()
        except (ValkeyError, KeyError, OSError) as error:
            missing = str(error) or type(error).__name__
        if not missing or time.monotonic() > deadline:
            return missing
        time.sleep(0.1)


def main() -> int:
    what, *addresses = sys.argv[1:]
    missing = ""
    if what == "failback":
        primary = addresses[1]
        missing = _until(lambda: failback(addresses, primary) or agree(addresses, primary), 2 * AGREE_TIMEOUT_S)
    else:
        missing = _until(lambda: agree(addresses), AGREE_TIMEOUT_S)
    if missing:
        print(missing)  # noqa: T201 - the answer of this program
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
