"""Guards, early stop and trackers in a config: what makes no sense is refused, with every reason."""

import pytest

from engine.contract.config_file import check_document

BASE = {
    "name": "a run",
    "model": {"path": "demo", "hub": "bundled"},
    "data": {"train": [{"path": "demo", "hub": "bundled"}]},
}


def codes(**groups) -> list[tuple[str, str]]:
    _config, problems = check_document({**BASE, **groups})
    return [(problem.code, problem.field) for problem in problems]


@pytest.mark.parametrize(
    ("guard", "action"),
    [
        ("not_finite", "warn"),
        ("not_finite", "off"),
        ("vanishing_gradient", "skip"),
        ("no_trained_tokens", "roll_back"),
        ("stalled_data", "skip"),
        ("stalled_data", "roll_back"),
        ("slow_step", "roll_back"),
        ("disk_filling", "skip"),
    ],
)
def test_that_an_action_that_makes_no_sense_is_refused(guard, action):
    assert [code for code, _field in codes(guards={guard: action})] in (["config.choice"], ["config.choice_near"])


def test_that_going_back_needs_checkpoints():
    guards = {"loss_spike": "roll_back", "not_finite": "roll_back"}
    assert codes(guards=guards) == []
    assert codes(guards=guards, checkpoints={"every_minutes": None}) == [
        ("guards.nothing_to_go_back_to", "guards.not_finite"),
        ("guards.nothing_to_go_back_to", "guards.loss_spike"),
    ]
    assert codes(guards=guards, checkpoints={"every_minutes": None, "every_steps": 5}) == []


def test_that_early_stop_needs_what_it_measures():
    measured = {"data": {**BASE["data"], "validation_share": 0.1}}
    assert codes(stopping={"patience": 3}) == [("stopping.nothing_measured", "stopping.patience")]
    assert codes(stopping={"patience": 3}, **measured) == [("stopping.measured_once", "training.validate_every")]
    often = {**measured, "training": {"validate_every": 5}}
    assert codes(stopping={"patience": 3}, **often) == []
    assert codes(stopping={"patience": 3, "metric": "score"}, **often) == [("stopping.no_score", "stopping.metric")]
    assert codes(stopping={"result": "best"}, checkpoints={"keep_best": 0}, **often) == [
        ("stopping.best_not_kept", "checkpoints.keep_best")
    ]


def test_that_an_unknown_tracker_is_refused():
    assert codes(watching={"trackers": ["wandb", "tensorbored"]}) == [("tracking.unknown", "watching.trackers.1")]


def test_that_a_patience_that_is_none_asks_for_nothing_else():
    document = {
        "name": "a", "model": {"path": "demo"}, "data": {"train": [{"path": "x"}], "validation_share": "many"},
        "stopping": {"patience": "many"},
    }  # fmt: skip
    fields = {problem.field for problem in check_document(document)[1]}
    assert fields == {"data.validation_share", "stopping.patience"}
