"""Results as pages (`balanced_table`, `balanced_images`, `scored_table`, `scored_images`) and heat maps (`overlay`).

Each page is a function of results and gives text; `page` renders it with a template of `templates/` and writes it. What
a page shows is in the results' `to_json()` too. May import everything that stands before it, up to evaluate.
"""
