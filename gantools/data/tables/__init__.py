"""Tables: what their columns are, and how files hold them."""
