"""Stages, tuners, batches and the training loop."""
