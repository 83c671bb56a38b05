"""Read models: pure functions from events to row changes, and the shapes that readers get."""
