"""The demo's data: what it holds, and that it cannot be answered by heart."""

import json
import re
from collections import Counter
from datetime import date

import pytest

from engine.contract.bundled import DATASETS
from engine.contract.paths import resources_folder
from resources.demo import make_data

LEAST_ROWS = {"train": 2000, "validation": 100, "held_out": 200}


def pairs(name: str) -> list[tuple[str, str]]:
    """Question and answer of each row of a file as it ships."""
    lines = (make_data.DATA / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [tuple(message["content"] for message in json.loads(line)["messages"]) for line in lines]


def bigrams(text: str) -> frozenset[str]:
    return frozenset(text[i : i + 2] for i in range(len(text) - 1))


@pytest.mark.parametrize("name", LEAST_ROWS)
def test_that_each_file_has_its_rows_in_both_languages(name):
    rows = pairs(name)
    assert len(rows) >= LEAST_ROWS[name]
    chinese = sum(not question.isascii() for question, _ in rows)
    assert 0.4 <= chinese / len(rows) <= 0.6


@pytest.mark.parametrize("name", LEAST_ROWS)
def test_that_rows_are_one_question_and_one_answer(name):
    lines = (make_data.DATA / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    for line in lines:
        row = json.loads(line)
        assert list(row) == ["messages"]
        assert [message["role"] for message in row["messages"]] == ["user", "assistant"]


@pytest.mark.parametrize("name", LEAST_ROWS)
def test_that_every_answer_is_a_day_in_iso_form_that_the_question_does_not_show(name):
    for question, answer in pairs(name):
        assert date.fromisoformat(answer).isoformat() == answer
        assert answer not in question


def test_that_english_questions_name_the_day_of_their_answer():
    for question, answer in pairs("held_out"):
        if question.isascii():
            day = date.fromisoformat(answer)
            assert day.strftime("%B") in question
            assert {day.day, day.year} <= {int(number) for number in re.findall(r"\d+", question)}


def test_that_no_day_stands_in_two_files_or_twice():
    days = [answer for name in LEAST_ROWS for _, answer in pairs(name)]
    assert len(days) == len(set(days))


def test_that_answering_with_the_nearest_training_row_scores_below_a_fifth():
    train = [(bigrams(question), answer) for question, answer in pairs("train")]
    right = 0
    for question, answer in pairs("held_out"):
        mine = bigrams(question)
        nearest = max(train, key=lambda known: len(known[0] & mine) / max(len(known[0]), len(mine)))
        right += nearest[1] == answer
    assert right / len(pairs("held_out")) < 0.2


def test_that_answering_with_the_most_frequent_answer_scores_below_a_fifth():
    common = Counter(answer for _, answer in pairs("train")).most_common(1)[0][0]
    held = pairs("held_out")
    assert sum(answer == common for _, answer in held) / len(held) < 0.2


def test_that_the_script_writes_the_same_bytes_again():
    for name, text in make_data.files().items():
        assert (make_data.DATA / f"{name}.jsonl").read_bytes() == text.encode()


def test_that_the_bundled_names_are_these_files():
    for path in DATASETS.values():
        assert (resources_folder() / path).is_file()
