"""Raw table <-> tensors, fitted once and invertible. May import data."""
