"""The faces: Python, command line, HTTP. Only `wiring` names adapters."""
