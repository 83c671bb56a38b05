"""Programs of this machine, as far as the operator allows."""
