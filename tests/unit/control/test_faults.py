"""Named places: all of them are in the code, do nothing unless asked, and do what they are asked."""

import errno
import os
import re
import subprocess
import sys

import pytest

from engine.contract import faults
from engine.contract.paths import code_root

SCRIPT = """from engine.contract.faults import fault; import sys
for name in sys.argv[1:]:
    fault(name)
    print(name, flush=True)"""


def reach(setting, *names):
    environment = {**os.environ, "FORGE_FAULT": setting, "PYTHONPATH": str(code_root())}
    command = [sys.executable, "-c", SCRIPT, *names]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)


def test_that_every_named_place_is_in_the_code_once_and_no_other():
    texts = [path.read_text() for path in (code_root() / "engine").rglob("*.py")]
    found = [name for text in texts for name in re.findall(r'\b(?:fault|spoilt|spoil)\("([^"]+)"', text)]
    assert sorted(found) == sorted(faults.POINTS)


def test_that_nothing_happens_without_the_variable():
    assert reach("", *faults.POINTS).stdout.split() == list(faults.POINTS)


def test_that_another_place_is_passed():
    done = reach("ingest.before_store", "ingest.after_store")
    assert (done.returncode, done.stdout.strip()) == (0, "ingest.after_store")


@pytest.mark.parametrize(
    ("setting", "code", "printed"),
    [("ingest.before_store", -9, 0), ("ingest.before_store:kill:3", -9, 2), ("ingest.before_store:exit:2", 70, 1)],
)
def test_that_a_process_dies_at_the_nth_time(setting, code, printed):
    done = reach(setting, *["ingest.before_store"] * 4)
    assert (done.returncode, len(done.stdout.split())) == (code, printed)


@pytest.mark.parametrize("action", ["ENOSPC", "EIO"])
def test_that_an_error_of_the_system_is_raised(action):
    number = getattr(errno, action)
    assert f"[Errno {number}]" in reach(f"durable.before_fsync:{action}", "durable.before_fsync").stderr


@pytest.mark.parametrize("text", ["nowhere", "ingest.before_store:burn", "ingest.before_store:kill:0", "a:kill:x"])
def test_that_a_wrong_setting_is_refused(text):
    with pytest.raises(ValueError, match="FORGE_FAULT"):
        faults.parse(text)
