"""Reading and describing data: what each column is (schema), plain matrices (raw), files (table).

Imports gantools.errors, numpy, pandas and pyarrow only; never torch. Import the modules themselves: this package
imports nothing, so that naming it costs nothing.
"""
