"""Parts of pages: charts, device readings, log, results."""
