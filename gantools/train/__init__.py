"""The one loop, checkpoints and monitoring. May import everything up to models."""
