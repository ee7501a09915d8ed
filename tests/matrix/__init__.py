"""Every stage with every tuner that matters for it, trained on the demo model and looked at."""
