"""The computers workers run on: how they are, what is wrong with them, and alerts about them."""
