"""Every setting belongs to a step of the wizard, so that a problem's line leads to its field."""

from __future__ import annotations

import pytest

from forge_desktop.models.draft_document import groups
from forge_desktop.wizard.steps import STEPS, step_of

AS_TEXT = ("forensics", "outputs")
"""They have no field: they are settings of the review's YAML."""


@pytest.mark.parametrize("group", [path for path in groups() if path and path not in AS_TEXT])
def test_that_no_group_of_settings_falls_to_the_review(group):
    assert STEPS[step_of(group)][0] != "review"
