"""Programs as child processes that leave nothing behind, for the executors that start some."""
