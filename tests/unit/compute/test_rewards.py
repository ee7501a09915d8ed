"""Rewards: what they give, what is refused of them before a start, and files that misbehave, ended cleanly."""

import json
import textwrap
from array import array

import pytest
import tiny

from engine.compute.data.questions import Answer, Asked
from engine.compute.training.rewards.judge import Judge
from engine.compute.training.rewards.process import Apart, Failed
from engine.compute.worker.queries import answer
from engine.contract.errors import UserError
from engine.contract.rollouts import RolloutConfig


def asked(expected: str | None = "42", line: int = 7, **columns) -> Asked:
    return Asked(array("i", [1, 2]), ({"role": "user", "content": "how much?"},), expected, columns, line)


def said(*texts: str) -> list[Answer]:
    return [Answer([hash(word) for word in text.split()], text, True) for text in texts]


def scores(reward: dict, question: Asked, answers: list[Answer], longest: int = 10) -> list[float | None]:
    judge = Judge(RolloutConfig.model_validate({"rewards": [reward], "max_tokens": longest}))
    try:
        (found,) = judge.score([question], answers).values()
        return found
    finally:
        judge.close()


@pytest.mark.parametrize(
    ("expected", "right", "wrong"),
    [
        ("42", ["42", " 42. ", "42.0", "It is 42", "<answer>42</answer> or 43"], ["43", "", "forty two", "42 or 43"]),
        ("2044-08-16", ["2044-08-16", "<think>2044-01-01</think> 2044-08-16"], ["2044-08-17", "on 2044-08-16"]),
        ("Half the cake", ["half  the cake.", "<think>all</think>Half the cake"], ["half"]),
        ("they eat so 3 * 4 = 12\n#### 12", ["12", "\\boxed{12}", "so 1,2 … 12"], ["\\boxed{13}", "12 and 7"]),
        ("1/2", ["0.5", "\\boxed{1/2}"], ["2"]),
    ],
)
def test_that_right_answers_are_known(expected, right, wrong):
    found = scores({"kind": "accuracy"}, asked(expected), said(*right, *wrong))
    assert found == [1.0] * len(right) + [0.0] * len(wrong)


def test_that_an_answer_is_read_as_asked_and_from_any_column():
    question = asked(None, solution=["7", "seven"])
    assert scores({"kind": "accuracy"}, question, said("7", "Seven", "8")) == [1, 1, 0]
    tagged = {"kind": "accuracy", "options": {"column": "solution", "read": "tag"}}
    assert scores(tagged, question, said("7", "<answer>7</answer>")) == [0, 1]
    with pytest.raises(UserError) as caught:
        scores({"kind": "accuracy", "options": {"column": "key"}}, question, said("7"))
    assert (caught.value.code, caught.value.params["line"]) == ("rewards.no_answer_column", 7)


def test_that_lengths_and_repetition_are_those_of_trl():
    from trl.rewards import get_repetition_penalty_reward, get_soft_overlong_punishment

    answers = said("a", "a a a a", "a b c d a b c", "a b c d e f g h i j", "a b c d e f g h i j k l")
    ids = [one.ids for one in answers]
    found = scores({"kind": "repetition", "options": {"ngram": 2}}, asked(), answers)
    assert found == pytest.approx(get_repetition_penalty_reward(2)(ids))
    found = scores({"kind": "overlong", "options": {"soft": 4}}, asked(), answers)
    assert found == pytest.approx(get_soft_overlong_punishment(10, 4)(ids))
    assert scores({"kind": "length", "options": {"target": 4}}, asked(), answers) == [0.25, 1, 0.25, 0, 0]
    cosine = scores({"kind": "cosine"}, asked("1"), said("1", " ".join("x" * 10) + " 1", "2", " ".join("y" * 10)))
    assert cosine[0] > 0.9 > cosine[1] >= 0.5 > 0 > cosine[3] > cosine[2]


def test_that_weights_add_up_and_what_is_not_judged_is_left_out():
    judge = Judge(RolloutConfig.model_validate({"rewards": [{"kind": "accuracy"}, {"kind": "length", "weight": -0.5}]}))
    assert judge.total({"accuracy": [1.0, None, None], "length": [0.5, 0.5, None]})[:2] == [0.75, -0.25]
    assert str(judge.total({"accuracy": [None], "length": [None]})[0]) == "nan"
    judge.close()


def test_that_forms_are_matched_as_a_whole():
    form = {"kind": "format", "options": {"preset": "think_answer"}}
    good = "<think>\nhm\n</think>\n<answer>4</answer>"
    assert scores(form, asked(), said(good, f"so {good}", "<answer>4</answer>", "")) == [1, 0, 0, 0]
    assert scores({"kind": "format", "options": {"pattern": r"\d+-\d+"}}, asked(), said("1-2", "1-2-3")) == [1, 0]


def file(tmp_path, text: str, **options) -> dict:
    path = tmp_path / "judge.py"
    path.write_text(textwrap.dedent(text))
    return {"kind": "file", "path": str(path), "options": {"seconds": 30.0, **options}}


def test_that_a_file_is_asked_with_answers_prompts_and_columns(tmp_path):
    reward = file(
        tmp_path,
        """
        import os, socket
        def reward(completions, prompts, level, **rest):
            assert prompts == ["how much?"] * 3 and rest["answer"][0] == "42", rest
            assert not any("TOKEN" in name for name in os.environ)
            return [len(text) * weight if text else None for text, weight in zip(completions, level)]
        """,
    )
    assert scores(reward, asked(level=2), said("ab", "abc", "")) == [4.0, 6.0, None]


@pytest.mark.parametrize(
    ("body", "code", "told"),
    [
        ("while True: pass", "rewards.file_slow", "line 7"),
        ("raise ValueError('no idea')", "rewards.file_raised", "ValueError: no idea (line 3)"),
        ("import sys; sys.exit(3)", "rewards.file_raised", "SystemExit"),
        ("import os; os._exit(3)", "rewards.file_raised", "ended"),
        (
            "print('x' * 100 + '\\n', end='') or [print('y' * 100) for _ in range(1_000_000)]",
            "rewards.file_prints",
            "7",
        ),
        ("return [float('nan')] * 2", "rewards.file_no_number", "nan"),
        ("return ['3', 4]", "rewards.file_no_number", "'3'"),
        ("return [1.0]", "rewards.file_wrong_count", "1 numbers"),
        ("return None", "rewards.file_wrong_count", "NoneType"),
        ("return bytearray(1 << 40)", "rewards.file_raised", "MemoryError"),
    ],
)
def test_that_a_file_that_misbehaves_is_ended_and_named_with_its_row(tmp_path, body, code, told):
    reward = file(tmp_path, f"# a reward\ndef reward(completions):\n    {body}\n    return [1.0, 2.0]\n")
    if code == "rewards.file_slow":
        reward["options"]["seconds"] = 0.5
    with pytest.raises(UserError) as caught:
        scores(reward, asked(), said("a", "b"))
    assert caught.value.code == code
    assert told in caught.value.text
    assert "7" in caught.value.text  # the row
    assert str(tmp_path) in caught.value.text


def test_that_a_file_that_never_is_loaded_is_ended():
    apart = Apart(
        {"path": "x.py", "source": "while True: pass", "function": "reward", "memory": 1 << 30}, 30, loading=0.5
    )
    with pytest.raises(Failed) as caught:
        apart.ask({"completions": ["a"]})
    assert caught.value.why == "load"
    assert apart._process is None


def test_that_a_pattern_that_takes_for_ever_is_ended():
    with pytest.raises(UserError) as caught:
        scores({"kind": "format", "options": {"pattern": "(a+)+b", "seconds": 0.5}}, asked(), said("a" * 60))
    assert (caught.value.code, caught.value.params["line"]) == ("rewards.pattern_slow", 7)


def test_that_rewards_are_tried_on_rows_without_a_model(tmp_path):
    rows = tiny.write_jsonl(tmp_path / "rows.jsonl", [{"prompt": "one and one?", "answer": "2"}, {"prompt": "who?"}])
    order = {
        "model": {"path": "demo", "hub": "bundled"}, "source": {"path": str(rows)}, "answers": ["2", "3"],
        "rollouts": {"rewards": [{"kind": "accuracy"}, {"kind": "length", "weight": 2, "options": {"target": 1}}]},
    }  # fmt: skip
    found = answer(json.dumps({"kind": "preview_rewards", "params": order})).result
    assert found is not None
    first, second = found["rows"]
    assert [one["total"] for one in first["answers"]] == [3.0, 2.0]
    assert first["answers"][0]["rewards"] == {"accuracy": 1.0, "length": 1.0}
    assert second["error"]["code"] == "rewards.no_answer_column"
