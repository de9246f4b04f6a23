"""A kind of trained model from another package: images to brighter images."""
