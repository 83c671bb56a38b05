"""Commands on other machines, by SSH."""
