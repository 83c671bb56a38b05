"""Where executors run: in the loop, in threads, in worker processes."""
