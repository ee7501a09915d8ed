"""Fixtures of these tests."""

from tests.helpers.controller import bench, service

__all__ = ["bench", "service"]
