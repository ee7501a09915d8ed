"""What exit codes mean."""

from engine.contract.errors import Conflict, NotFound, Refused, Unreachable, UserError
from engine.contract.states import RunState

OK = 0
FAILED = 1
USAGE = 2
NOT_FOUND = 3
UNREACHABLE = 4
CONFLICT = 5
STOPPED = 6
INTERRUPTED = 130

EPILOG = """\
RUN is a run's id, the beginning of one, or a name.

exit codes:
  0  done; with `run --wait`: the run completed
  1  error, or the run failed
  2  wrong usage, or a config that was refused
  3  no such run, result or environment
  4  the job controller does not answer
  5  not possible in the present state
  6  the run was stopped
"""

_BY_CLASS: tuple[tuple[type[UserError], int], ...] = (
    (NotFound, NOT_FOUND),
    (Conflict, CONFLICT),
    (Refused, USAGE),
    (Unreachable, UNREACHABLE),
)


def exit_code(error: UserError) -> int:
    """The code of an error."""
    return next((code for kind, code in _BY_CLASS if isinstance(error, kind)), FAILED)


def exit_code_of_state(state: RunState) -> int:
    """The code of a run's end."""
    return {RunState.COMPLETED: OK, RunState.STOPPED: STOPPED, RunState.PAUSED: STOPPED}.get(state, FAILED)
