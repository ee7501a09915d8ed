"""What earlier runs tell about the memory of the next."""

from pydantic import BaseModel, ConfigDict


class Calibration(BaseModel):
    """What earlier runs like it tell."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    factor: float = 1.0
    """What activations were, of what is reckoned here."""
    process: int | None = None
    """Bytes of a worker there that are no tensors."""
    held: float | None = None
    """Bytes of its process for a byte of tensors beside the weights: an allocator keeps what it was given back."""
    width: int | None = None
    """Tokens of the longest row of the same data."""
    trained: float | None = None
    """Share of the tokens of its longest batch that is learned."""
