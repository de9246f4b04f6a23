"""Classifiers of tables: what judges whether balancing helps, and what is kept of the best of them."""
