"""The one entry for generation: requests join and leave between steps, adapters are mixed in a batch."""
