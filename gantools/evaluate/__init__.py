"""What synthetic data is worth: the verdict on held-out real rows (`table`) or images (`images`), which share how it is
reached (`verdict`); how good images are by themselves (`image_quality`); what scores say (`scores`); the HTML report.

May import everything of the library that stands before it: errors, data, encode, nn, models, train, augment and score.
"""
