"""A part of the matrix of stages and tuners: another part with each commit, all of it by `make matrix`."""

import subprocess
import zlib

import pytest
from helpers import ROOT

from tests.matrix.cells import MAIN_TUNERS, cells
from tests.matrix.train import look

PART = 4
ALL = list(cells())


def turn() -> int:
    """Where this commit's part begins; the same for all who test the same commit."""
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, check=False).stdout
    return zlib.crc32(head) % len(ALL)


@pytest.mark.parametrize("cell", [ALL[(turn() + n * len(ALL) // PART) % len(ALL)] for n in range(PART)], ids=str)
def test_that_it_trains_reloads_and_goes_on(cell, tmp_path):
    found = look(cell, tmp_path)
    assert found.holds, found.checks


def test_that_every_stage_that_runs_is_in_it_with_its_main_tuners():
    from engine.contract.stages import RUNNABLE_STAGES
    from engine.contract.tuner import RUNNABLE_TUNERS

    assert {(cell.stage, cell.tuner) for cell in ALL} >= {(s, t) for s in RUNNABLE_STAGES for t in MAIN_TUNERS}
    assert {cell.tuner for cell in ALL} == set(RUNNABLE_TUNERS)
