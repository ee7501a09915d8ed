"""What holds for all tests: how long an example takes on a busy machine is no verdict.

Where continuous integration runs, examples are the same every time; elsewhere they are new ones, and
FORGE_TEST_EXAMPLES=2000 looks at more of them.
"""

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "patient",
    settings(),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=bool(os.environ.get("CI")),
    max_examples=int(os.environ.get("FORGE_TEST_EXAMPLES") or settings().max_examples),
)
settings.load_profile("patient")
