"""Numbers to one HTML file. May import everything up to evaluate."""
