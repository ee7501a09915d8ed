"""States of a run, why it left the last one, and marks on a live attempt."""

from enum import StrEnum


class RunState(StrEnum):
    """Where a run stands. Which moves are allowed is in `engine.control.jobs.transitions`."""

    DRAFT = "draft"
    QUEUED = "queued"
    PREPARING = "preparing"
    RUNNING = "running"
    FINISHING = "finishing"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    STOPPED = "stopped"

    @property
    def live(self) -> bool:
        """A worker is, or is about to be, at work."""
        return self in LIVE

    @property
    def ended(self) -> bool:
        """Nothing will happen any more unless a person asks for it."""
        return self in ENDED


LIVE = frozenset({RunState.PREPARING, RunState.RUNNING, RunState.FINISHING})
ENDED = frozenset({RunState.COMPLETED, RunState.FAILED, RunState.STOPPED})


class EndReason(StrEnum):
    """Why an attempt or a run ended, apart from what it ended as."""

    FINISHED = "finished"
    EARLY_STOP = "early_stop"
    """Nothing got better any more."""
    TIME_LIMIT = "time_limit"
    COST_LIMIT = "cost_limit"
    GUARD = "guard"
    """A guard was told to stop the run."""
    STOPPED_BY_PERSON = "stopped_by_person"
    PAUSED_BY_PERSON = "paused_by_person"
    BAD_CONFIG = "bad_config"
    BAD_DATA = "bad_data"
    BAD_MODEL = "bad_model"
    OUT_OF_MEMORY = "out_of_memory"
    DISK_FULL = "disk_full"
    LOSS_NOT_FINITE = "loss_not_finite"
    DOWNLOAD_FAILED = "download_failed"
    WORKER_ENVIRONMENT = "worker_environment"
    WORKER_ERROR = "worker_error"
    WORKER_KILLED = "worker_killed"
    START_FAILED = "start_failed"
    START_LOST = "start_lost"
    """The controller ended in mid-start; no worker ever came of it, and the attempt is made again."""
    INTERRUPTED = "interrupted"
    HANG = "hang"
    LOST = "lost"
    MOVED = "moved"
    """Saved and ended to go on elsewhere."""


class Mark(StrEnum):
    """A remark on a live attempt that changes nothing about its state."""

    NOT_RESPONDING = "not_responding"
    UNREACHABLE = "unreachable"


class Lane(StrEnum):
    """The queue a kind of run waits in, so that light work never waits behind training."""

    GPU = "gpu"
    CPU = "cpu"
    LIGHT = "light"


class Phase(StrEnum):
    """What a worker is doing now, in the order it is done."""

    STARTING = "starting"
    DOWNLOADING = "downloading"
    READING = "reading"
    CHECKING = "checking"
    """Of an import its second step, of a run that samples its last."""
    MAKING_MODEL = "making_model"
    """Of a run from scratch: its tokenizer is trained, its weights are drawn."""
    LOADING = "loading"
    SAMPLING = "sampling"
    """A model answers the questions of a dataset."""
    TOKENISING = "tokenising"
    BEGINNING = "beginning"
    """An adapter takes its beginning from the rows or the weights."""
    COMPARING = "comparing"
    """The reference is asked about all rows."""
    EVALUATING_BEFORE = "evaluating_before"
    TRAINING = "training"
    SERVING = "serving"
    """Requests are answered until somebody ends it."""
    SAVING = "saving"
    EVALUATING_AFTER = "evaluating_after"
    DONE = "done"


EXIT_COMPLETED = 0
EXIT_FAILED = 1
EXIT_SAVED_ON_REQUEST = 77
"""The worker's exit code after it saved and stopped because it was asked to."""
