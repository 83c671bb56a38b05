"""Everything that touches the outside: stores, executors, places where work runs."""
