"""The job controller: history, queue, executors and API. Never imports torch."""
