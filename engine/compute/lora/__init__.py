"""Adapters: their file, their layers, many of them in memory, and what is made of several."""
