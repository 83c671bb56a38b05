"""Work for other instances of this software."""
