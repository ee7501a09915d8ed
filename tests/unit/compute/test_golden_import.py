"""An import finds exactly what it always found: problems, rows and fingerprints, compared with a file beside."""

from __future__ import annotations

import golden_rows


def test_that_an_import_finds_what_was_written_down(tmp_path, monkeypatch):
    monkeypatch.setenv("FORGE_HOME", str(tmp_path / "home"))
    assert golden_rows.dump(golden_rows.outcome(tmp_path)) == golden_rows.GOLDEN.read_text(encoding="utf-8")
