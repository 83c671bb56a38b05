"""Each test in a place of its own."""

from tests.support.places import db, executors, manager, place

__all__ = ["db", "executors", "manager", "place"]
