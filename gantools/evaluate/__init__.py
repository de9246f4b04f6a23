"""What the synthetic rows are worth: the verdict on held-out real rows (`table`) and the HTML report (`report`).

May import everything of the library that stands before it: errors, data, encode, models, train and augment.
"""
