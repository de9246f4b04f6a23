"""What does not belong: scores, thresholds, reasons and drift. May import everything up to train."""
