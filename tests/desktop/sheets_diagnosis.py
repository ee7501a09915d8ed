"""Pictures of failed runs: a cause with advice, one that no setting helps, one its error explains, one nobody knows."""

from __future__ import annotations

from collections.abc import Iterator

from engine.contract.errors import UserError
from engine.contract.states import EndReason
from engine.control.jobs.diagnosis import Evidence, diagnose
from forge_desktop.app import Desktop
from forge_desktop.bridge.replay import ReplayBackend
from tests.helpers.diagnosis_logs import cases
from tests.helpers.journals import before_training, demo_spec, failed, steps

SHOWN = ("targets_absent", "gpu_lost")
GATED = UserError("hub.gated", path="owner/model", page="https://hub.example/owner/model")
UNKNOWN = """12:00:01 WARNING Could not reach the tracker: token=abcdef0123456789
12:00:09 ERROR The tracker gave up after 3 tries
Traceback (most recent call last):
  File "/app/engine/compute/worker/train_job.py", line 86, in _train
    outcome = train(trainer, start.folder if start else None)
  File "/app/.venv-worker/lib/python3.11/site-packages/transformers/trainer.py", line 2325, in train
    return inner_training_loop(
  File "/app/.venv-worker/lib/python3.11/site-packages/torch/nn/modules/module.py", line 1775, in _wrapped_call_impl
    return self._call_impl(*args, **kwargs)
  File "/data/rewards/colours.py", line 7, in score
    return table[answer]
           ~~~~~^^^^^^^^
KeyError: 'a colour that no table of colours has ever held, and a long text beside it that says so once more'
"""


def pages(desktop: Desktop, backend: ReplayBackend) -> Iterator[str]:
    """One after the other."""
    known = {case.name: case.evidence for case in cases()}
    bug = UserError("worker.bug", detail="KeyError: 'a colour'").body()
    spec = demo_spec("colours")
    shown = [
        *((name.replace("_", "-"), known[name]) for name in SHOWN),
        ("stated", Evidence(spec, EndReason.BAD_MODEL, GATED.body())),
        ("unknown", Evidence(spec, EndReason.WORKER_ERROR, bug, UNKNOWN)),
    ]
    for name, evidence in shown:
        uid = backend.add(demo_spec(name), created=2.45)
        assert evidence.error is not None
        backend.play(uid, [*before_training(), *steps(1, 30), *failed(evidence.error, 30)])
        backend.write_log(uid, evidence.log)
        backend.diagnose(uid, diagnose(evidence))
        desktop.window.go(f"run/{uid}")
        yield f"run-failed-{name}"
