"""Images: folders and arrays of them, and what they hold."""
