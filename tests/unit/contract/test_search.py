"""The language of a search: what is understood, what is refused, what is suggested."""

import math
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.contract.errors import Refused
from engine.contract.search import Range, completed, parse, quoted, read, suggestions
from engine.contract.search_words import OPERATORS, tokens

NOW = 1_000_000_000.0


def terms(text):
    return [(term.operator.name, term.values or term.ranges, term.negated) for term in parse(text, NOW).terms]


def day(text):
    return datetime.fromisoformat(text).timestamp()


def test_words_and_exact_words():
    query = parse('Qwen  "Exact  Words" -old -"two words" lr=1e-4 qwen2.5:7b http://a/b C:\\x 5"disk - qwen')
    assert query.words == ("qwen", "exact  words", "lr=1e-4", "qwen2.5:7b", "http://a/b", "c:\\x", '5"disk', "-")
    assert query.excluded == ("old", "two words")
    assert query.terms == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("state:running,paused", [("state", ("running", "paused"), False)]),
        ("-tag:Old,OLD", [("tag", ("old",), True)]),
        ('dataset:"my data"', [("dataset", ("my data",), False)]),
        ('tag:"a,b",c', [("tag", ("a,b", "c"), False)]),
        ("STATE:Running", [("state", ("running",), False)]),
        ("pinned:true pinned:0", [("pinned", ("yes",), False), ("pinned", ("no",), False)]),
        ("loss<1.0", [("loss", (Range(high=1.0),), False)]),
        ("loss>=0.5", [("loss", (Range(low=0.5, low_included=True),), False)]),
        ("loss:1,2", [("loss", (Range(1, 1, True, True), Range(2, 2, True, True)), False)]),
        ("steps=100", [("steps", (Range(100, 100, True, True),), False)]),
        ("score>90%", [("score", (Range(low=0.9),), False)]),
        ("tokens>1M", [("tokens", (Range(low=1e6),), False)]),
        ("tokens:>1.5k", [("tokens", (Range(low=1500.0),), False)]),
        (
            "tokens:>=2B tokens≤3万",
            [
                ("tokens", (Range(low=2e9, low_included=True),), False),
                ("tokens", (Range(high=3e4, high_included=True),), False),
            ],
        ),
        ("created:<7d", [("created", (Range(low=NOW - 7 * 86_400),), False)]),
        ("seconds<=2h", [("seconds", (Range(high=7200.0, high_included=True),), False)]),
        ("created<7d", [("created", (Range(low=NOW - 7 * 86_400),), False)]),
        ("created>=2w", [("created", (Range(high=NOW - 14 * 86_400, high_included=True),), False)]),
        ("created:12h", [("created", (Range(low=NOW - 12 * 3600, low_included=True),), False)]),
        ("created>2026-01-31", [("created", (Range(low=day("2026-02-01"), low_included=True),), False)]),
        ("created>=2026-01-31", [("created", (Range(low=day("2026-01-31"), low_included=True),), False)]),
        ("created<2026-01-31", [("created", (Range(high=day("2026-01-31")),), False)]),
        ("created<=2026-01-31", [("created", (Range(high=day("2026-02-01")),), False)]),
        ("created:2026-01-31", [("created", (Range(day("2026-01-31"), day("2026-02-01"), True),), False)]),
        ("started>2026-01-31T18:30", [("started", (Range(low=day("2026-01-31T18:31"), low_included=True),), False)]),
    ],
)
def test_operators(text, expected):
    assert terms(text) == expected


def test_that_full_width_signs_mean_the_same():
    plain = parse('state:running,paused "exact words" -tag:"a b" loss<=2 score>0.9', NOW)
    assert parse("state：running，paused “exact words” －tag：「a b」 loss≤2 score＞0.9", NOW) == plain


def test_that_every_problem_is_told_at_once_with_what_may_have_been_meant():
    text = "stat:x state:runing loss<abc created>tomorrow colour:1 model: state>x seconds>2x cost<inf"
    with pytest.raises(Refused) as caught:
        parse(text)
    problems = caught.value.problems
    assert [problem.code for problem in problems] == [
        *("search.operator_near", "search.value_near", "search.number", "search.moment", "search.operator"),
        *("search.no_value", "search.comparison", "search.span", "search.number"),
    ]
    assert [problem.params.get("near") for problem in problems[:2]] == ["state", "running"]
    assert [text[problem.params["start"] : problem.params["end"]] for problem in problems] == text.split()
    assert "Did you mean 'state'?" in caught.value.text
    assert all(problem.reason and problem.fix for problem in problems)


def test_that_what_can_be_understood_is():
    query, problems = read("qwen stat:x loss<1", NOW)
    assert (query.words, len(query.terms), len(problems)) == (("qwen",), 1, 1)


@given(st.text(max_size=60))
def test_that_any_text_is_read_and_every_word_stands_in_it(text):
    read(text, NOW)
    suggestions(text)
    assert [text[token.start : token.end] for token in tokens(text)] == [token.text for token in tokens(text)]
    assert not any(text[one.end : two.start].strip() for one, two in zip(tokens(text), tokens(text)[1:], strict=False))


@given(st.text(min_size=1, max_size=40))
def test_that_a_quoted_text_is_looked_for_as_it_stands(text):
    assert parse(quoted(text)).words == (text.casefold(),)


@given(st.floats(-1e300, 1e300), st.sampled_from(("<", "<=", ">", ">=", ":")))
def test_that_a_comparison_holds_for_what_it_says(number, sign):
    (term,) = parse(f"loss{sign}{number!r}").terms
    above, below = math.nextafter(number, math.inf), math.nextafter(number, -math.inf)
    held = [term.ranges[0].holds(value) for value in (below, number, above)]
    assert held == [sign in ("<", "<="), sign in (":", "<=", ">="), sign in (">", ">=")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("st", ["state:", "steps<", "started<"]),
        ("qwen -ta", ["tag:"]),
        ("state:ru", ["running"]),
        ("state：ru", ["running"]),
        ("state:running,p", ["preparing", "paused"]),
        ("pinned:", ["yes", "no"]),
        ("model:", []),
        ("nothing:", []),
        ("日", []),
    ],
)
def test_suggestions(text, expected):
    assert suggestions(text) == expected


def test_that_all_operators_are_suggested_where_a_word_begins():
    assert suggestions("") == suggestions("qwen ") == [one.offered for one in OPERATORS.values()]
    assert "running" not in suggestions("state:running,")


@pytest.mark.parametrize(
    ("text", "chosen", "expected"),
    [
        ("qwen st", "state:", "qwen state:"),
        ("-ta", "tag:", "-tag:"),
        ("state:running,pa", "paused", "state:running,paused"),
        ("state:", "failed", "state:failed"),
        ("qwen ", "loss<", "qwen loss<"),
        ("", "loss<", "loss<"),
    ],
)
def test_that_a_suggestion_takes_the_place_of_what_was_begun(text, chosen, expected):
    assert completed(text, chosen) == expected


def test_that_the_examples_are_understood():
    for operator in OPERATORS.values():
        assert [term.operator for term in parse(operator.example).terms] == [operator]
