"""Trained generators and what they are for: balanced tables. May import everything up to train."""
