"""Diagnostics for a report: gathered from the home, made anonymous."""
