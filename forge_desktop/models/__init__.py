"""Qt item models that views show; they follow events and hold what widgets must not."""
