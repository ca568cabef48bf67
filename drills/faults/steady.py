"""Steady-state probes that a drill file can name; they look through the edge, as a client does."""

from __future__ import annotations

import httpx

from drills.targets.registry import attach


def serving() -> bool:
    """True when a recommendation and a search through the edge are both answered with 200 within 2 s."""
    url = attach().deployment.edge_url
    try:
        with httpx.Client(base_url=url, timeout=2.0) as client:
            return all(
                client.post(path, json=body).status_code == httpx.codes.OK
                for path, body in (
                    ("/v1/recommend", {"user": "steady-state", "k": 5}),
                    ("/v1/search", {"user": "steady-state", "query": "star", "k": 5}),
                )
            )
    except httpx.HTTPError:
        return False
