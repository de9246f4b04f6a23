"""Reading, describing and writing data: `tables` (CSV, Parquet, frames) and `images` (folders, arrays).

Imports gantools.errors, files, words, numpy, pandas, pyarrow and Pillow only; never torch. This package imports nothing
itself, so that naming it costs nothing.
"""
