"""A forecast from runs that really ran as processes: by the API, the command line, and a config."""

from __future__ import annotations

import json

from engine.contract.config_file import to_yaml
from engine.contract.run_spec import RunConfig

DELAY, STEPS = 0.02, 20


def test_that_runs_that_ended_are_what_the_next_is_forecast_by(service, tmp_path):
    service.start()
    spec = service.spec(f"one steps={STEPS} delay={DELAY}")
    assert service.client.forecast(spec, 40).why_not == "no_runs"
    service.client.edit_settings({"prices": {"gpu": 3600.0}, "currency": "CNY"})
    for _ in range(3):
        service.until(service.client.create(spec).uid, "completed")
    found = service.client.forecast(spec, 40)
    assert (found.runs, found.likeness, found.steps, found.node) == (3, "alike", 40, "local")
    assert found.seconds is not None
    assert found.seconds.low <= found.seconds.middle <= found.seconds.high
    assert found.seconds.middle >= 40 * DELAY  # a step sleeps for so long at least
    assert found.cost is not None
    assert abs(found.cost.middle - found.seconds.middle) < 1e-6  # 3600 an hour

    plain = spec.model_dump(mode="json")["job"]
    document = {"model": plain["model"], "data": plain["data"], "name": "planned", "training": {"max_steps": 60}}
    config = tmp_path / "run.yaml"
    config.write_text(to_yaml(RunConfig.model_validate(document)))
    said = service.forge("forecast", str(config), "--json")
    assert said.returncode == 0, said.stderr
    told = json.loads(said.stdout)
    assert (told["steps"], told["runs"]) == (60, 3)
    text = service.forge("forecast", str(config)).stdout
    assert "(from 3 runs like it), 60 steps." in text
    assert "CNY" in text
