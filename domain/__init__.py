"""The pure core: what happened and what follows from it. No I/O, no clock, no chance."""
