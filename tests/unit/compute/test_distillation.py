"""Learning from a teacher through the worker: what it tells, that it comes nearer, goes on exactly, and refuses."""

import shutil

import pytest
import tiny
from helpers import assert_goes_on
from test_resume import again


@pytest.fixture(scope="session")
def teacher(tmp_path_factory):
    """Another model of the same vocabulary, sure of what it says."""
    folder = tmp_path_factory.mktemp("teacher")
    made = tiny.make_model(seed=5)
    made.get_input_embeddings().weight.data.mul_(20)
    made.save_pretrained(folder)
    tiny.make_tokenizer().save_pretrained(folder)
    return folder


def job(folder, **more) -> dict:
    usual = {
        "stage": "gkd", "teacher": {"path": str(folder), "lmbda": 0.0},
        "rollouts": {"max_tokens": 8},
        "training": {"max_steps": 4, "micro_batch_size": 4, "learning_rate": 1e-2, "memory_probe": False},
    }  # fmt: skip
    return {
        name: {**value, **more.pop(name, {})} if isinstance(value, dict) else value for name, value in usual.items()
    } | more


def steps_of(made) -> list[dict]:
    return [line.values for line in made.of("step")]


@pytest.mark.parametrize("loss", ["jsd", "forward_kl", "reverse_kl"])
def test_that_the_model_comes_nearer_to_its_teacher(attempt, teacher, loss):
    more = {"tuner": {"kind": "full"}, "objective": {"loss": loss}, "training": {"max_steps": 30}}
    made = attempt(**job(teacher, **more))
    assert made.run() == 0, made.end
    steps = steps_of(made)
    assert steps[-1]["loss"] < 0.7 * steps[0]["loss"]
    assert steps[-1]["agreement"] > steps[0]["agreement"]
    assert all("own_answers" not in values for values in steps)


def test_that_it_tells_of_its_own_answers_and_of_memory(attempt, teacher, tmp_path):
    rows = tiny.write_jsonl(tmp_path / "rows.jsonl", tiny.make_rows(20))
    data = {"train": [{"path": str(rows)}], "validation_share": 0.2, "max_length": 64}
    more = {"teacher": {"lmbda": 1.0}, "training": {"memory_probe": True}, "data": data}
    made = attempt(**job(teacher, **more))
    assert made.run() == 0, made.end
    steps = steps_of(made)
    assert [values["own_answers"] for values in steps] == [1.0] * 4
    assert all(0 < values["answer_length"] <= 8 for values in steps)
    assert [line.values["validation_agreement"] for line in made.of("validation")]
    (measured,) = [line for line in made.of("memory_forecast") if line.measured]
    size = sum(p.numel() for p in tiny.make_model().parameters()) * 4
    assert measured.parts["weights"] >= 2 * size - 4096
    assert 0.2 < measured.factor < 5


def test_that_half_the_batches_are_its_own_and_the_others_the_teachers(attempt, teacher):
    more = {"teacher": {"lmbda": 0.5, "seq_kd": True}, "training": {"max_steps": 6, "accumulation": 2}}
    made = attempt(**job(teacher, **more))
    assert made.run() == 0, made.end
    shares = [values["own_answers"] for values in steps_of(made)]
    assert 0 < sum(shares) < len(shares)
    assert all(values["answer_length"] > 0 for values in steps_of(made))


def test_that_it_goes_on_bit_for_bit(attempt, teacher):
    wanted = job(
        teacher, teacher={"lmbda": 0.5, "seq_kd": True}, training={"max_steps": 5},
        checkpoints={"every_steps": 3, "at_end": False},
    )  # fmt: skip
    whole = attempt(**wanted)
    assert whole.run() == 0, whole.end
    assert_goes_on(whole, 3, ("loss", "grad_norm", "agreement", "own_answers"))


def test_that_parts_and_the_whole_are_the_same(attempt, teacher):
    losses = []
    for parts in (1, 2):
        training = {"max_steps": 2, "micro_batch_parts": parts}
        made = attempt(**job(teacher, teacher={"lmbda": 1.0}, training=training), name=f"p{parts}")
        assert made.run() == 0, made.end
        losses.append([values["loss"] for values in steps_of(made)])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_that_an_adapter_makes_a_teacher_of_the_same_model(attempt, model, tmp_path):
    learned = attempt(training={"max_steps": 3, "micro_batch_size": 4, "learning_rate": 5e-2, "memory_probe": False})
    assert learned.run() == 0, learned.end
    adapter = learned.outputs / "adapter"
    made = attempt(**job(model, teacher={"adapter": str(adapter)}), name="taught")
    assert made.run() == 0, made.end
    assert steps_of(made)[0]["loss"] > 0
    (adapter / "adapter_model.safetensors").write_bytes(b"nothing")
    broken = attempt(**job(model, teacher={"adapter": str(adapter)}), name="broken")
    assert broken.run() != 0
    assert broken.end.error.code == "teacher.adapter_failed"


def test_that_a_teacher_of_another_vocabulary_is_refused_before_the_first_step(attempt, tmp_path):
    other = tiny.save_model(tmp_path / "other")
    tokenizer = tiny.make_tokenizer()
    tokenizer.add_tokens(["bonjour"])
    tokenizer.save_pretrained(other)
    made = attempt(**job(other))
    assert made.run() != 0
    assert made.end.error.code == "teacher.vocabulary"
    assert "260 " in made.end.error.why or "259 " in made.end.error.why
    assert made.of("step") == []


def test_that_another_teacher_is_not_gone_on_with(attempt, teacher, tmp_path):
    own = tmp_path / "own"
    shutil.copytree(teacher, own)
    checkpoints = {"every_minutes": None, "every_steps": 2, "keep_last": 100}
    made = attempt(**job(own, checkpoints=checkpoints))
    assert made.run() == 0, made.end
    assert_goes_on(made, 2, ["loss"])
    other = tiny.make_model(seed=6)
    other.save_pretrained(own)
    third = again(made, 2, 3)
    assert third.run() == 1
    assert third.end.error.code == "checkpoint.teacher_changed"
    assert not third.of("step")
