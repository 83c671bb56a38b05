"""For tests of what runs on this engine, and for its own: builders, a clock, checkers."""
