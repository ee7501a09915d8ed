"""What a question to an engine costs by each way, measured against the bare SDK at the socket."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import closing

from engine.control.executors.docker.link import Link
from tests.helpers.docker_engines import running_engines
from tests.helpers.docker_process import CannotStart
from tests.helpers.docker_profiles import linked, local_profile, ssh_profile, tls_profile

CALLS = 1000


def measured(call: Callable[[], object]) -> tuple[float, float]:
    """p50 and p99, in milliseconds."""
    taken = []
    for _ in range(CALLS):
        began = time.perf_counter()
        call()
        taken.append((time.perf_counter() - began) * 1000)
    taken.sort()
    return taken[CALLS // 2], taken[CALLS * 99 // 100]


def opening(link: Link) -> float:
    """The first question, which opens the way, in milliseconds."""
    began = time.perf_counter()
    link.ask(lambda api: api.ping())
    return (time.perf_counter() - began) * 1000


def main() -> int:
    """Print a table."""
    try:
        with running_engines(own_local=True) as engines:
            print(f"{CALLS} pings each\n\n| way | first ms | p50 ms | p99 ms |\n|---|---|---|---|")
            with closing(engines.remote.client()) as bare:
                p50, p99 = measured(bare.ping)
                print(f"| SDK at the socket | | {p50:.2f} | {p99:.2f} |")
            profiles = {
                "local": local_profile(engines.local), "TLS": tls_profile(engines.remote),
                "SSH tunnel": ssh_profile(engines.remote),
            }  # fmt: skip
            for way, profile in profiles.items():
                with linked(profile) as link:
                    first = opening(link)
                    p50, p99 = measured(lambda link=link: link.ask(lambda api: api.ping()))
                    print(f"| {way} | {first:.0f} | {p50:.2f} | {p99:.2f} |")
    except CannotStart as reason:
        print(f"not measured: {reason}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
