"""Messages over WebSockets of other services."""
