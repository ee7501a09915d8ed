"""What a run keeps to be looked into afterwards: the loss of every row at every step."""

from engine.contract.setting import Settings, setting


class ForensicsConfig(Settings):
    """What is kept for a look inside the curve."""

    row_losses: bool = setting(
        True,
        "Keep each row's own loss at each step: 16 bytes a row and step, 52 bytes once a row.",
        label="Keep losses of rows",
    )
    every_steps: int = setting(
        1,
        "Keep them at every so many steps only.",
        label="Keep losses every",
        unit="steps",
        ge=1,
        le=1_000_000,
    )
    most_megabytes: int = setting(
        256,
        "Room for them in each attempt; of a run that would need more, fewer steps are kept, to its end.",
        label="Room for losses of rows",
        unit="MB",
        ge=1,
        le=1_000_000,
    )
