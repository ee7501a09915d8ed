"""Settings of mixing and splitting that do not go together, refused by name."""

import pytest

from engine.contract.config_file import check_document, parse_config, to_yaml

PLAIN = {
    "name": "x", "model": {"path": "tiny", "hub": "bundled"}, "data": {"train": [{"path": "t", "hub": "bundled"}]},
}  # fmt: skip


def problems(**data) -> list[tuple[str, str]]:
    document = {**PLAIN, "data": {**PLAIN["data"], **data}}
    return [(problem.code, problem.field) for problem in check_document(document)[1]]


@pytest.mark.parametrize(
    ("data", "code", "field"),
    [
        ({"validation_by": "group"}, "config.group_column_needed", "data.group_column"),
        ({"validation_by": "group", "group_column": ""}, "config.group_column_needed", "data.group_column"),
        ({"order": "kept", "shuffle_buffer": 5}, "config.buffer_without_shuffle", "data.shuffle_buffer"),
        ({"self_cognition": {"name": "N"}}, "config.self_cognition_half", "data.self_cognition.author"),
        ({"self_cognition": {"author": "A"}}, "config.self_cognition_half", "data.self_cognition.name"),
    ],
)
def test_that_what_does_not_go_together_is_refused_at_its_field(data, code, field):
    assert problems(**data) == [(code, field)]
    assert (code, field) in problems(**data, max_length="long")  # also where something else is wrong


def test_that_what_goes_together_is_taken_and_written_out():
    data = {
        "validation_by": "group", "group_column": "person", "order": "shuffled", "shuffle_buffer": 100,
        "self_cognition": {"name": "Anvil", "author": "The Smithy", "rows": 7},
    }  # fmt: skip
    assert problems(**data) == []
    config = check_document({**PLAIN, "data": {**PLAIN["data"], **data}})[0]
    assert config is not None
    assert parse_config(to_yaml(config)) == config
    assert config.data.self_cognition.rows == 7
