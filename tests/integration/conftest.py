"""Fixtures of these tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.controller import ControllerProcess, bench, service
from tests.helpers.real_worker import WORKER

__all__ = ["bench", "service"]


@pytest.fixture
def real(tmp_path: Path) -> Iterator[ControllerProcess]:
    """A controller at work, as a process of its own, whose workers train for real."""
    made = ControllerProcess(tmp_path, WORKER)
    made.start()
    yield made
    made.close()
