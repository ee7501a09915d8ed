"""What the controller must not drag in when it starts."""

import subprocess
import sys


def modules_after(statement: str) -> set[str]:
    code = f"{statement}\nimport sys\nprint(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_that_starting_the_controller_imports_nothing_heavy():
    loaded = modules_after("import engine.control.service")
    assert not loaded & {
        "torch",
        "transformers",
        "peft",
        "docker",
        "PySide6",
        "numpy",
        "pyarrow",
        "sqlite_utils",
        "apprise",
    }


def test_that_the_monitor_needs_the_standard_library_only():
    loaded = modules_after("import engine.control.executors.monitor")
    assert not loaded & {"pydantic", "psutil", "fastapi", "numpy"}


def test_that_the_command_line_starts_the_controller_without_importing_anything_else():
    loaded = modules_after("import engine.cli.__main__")
    assert not loaded & {"pydantic", "httpx", "numpy", "engine.control"}
