"""Building blocks of nets. May import encode."""
