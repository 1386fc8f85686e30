"""One module per study, by its name."""
