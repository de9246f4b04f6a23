"""Raw tables and images <-> tensors, fitted once and invertible. May import data."""
