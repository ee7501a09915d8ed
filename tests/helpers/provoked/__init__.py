"""Failures of libraries and the system, provoked so that their logs can be recorded: one function a failure.

    python -m tests.helpers.provoked FOLDER NAME…

runs with the worker's interpreter, as a worker does. FOLDER gets `NAME.log`, what was said, and `NAME.json`, the
reason and error a worker would have ended with. `tests.helpers.record_failures` records all of them.
"""
