"""The command line, `apflow`."""
