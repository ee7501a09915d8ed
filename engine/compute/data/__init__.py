"""From files to tokens and loss masks."""
