"""Drives trees: decides, appends, and only then acts. Knows ports, no adapter."""
