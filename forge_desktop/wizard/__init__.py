"""The New-run wizard."""
