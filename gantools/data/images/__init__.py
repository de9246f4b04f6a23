"""Images: folders and arrays of them, and what they hold."""

from gantools.data.images.source import ImageSource, is_images, open_images

__all__ = ["ImageSource", "is_images", "open_images"]
