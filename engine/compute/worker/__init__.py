"""The worker process: session, journal, telemetry, commands."""
