"""Reading and describing data: what each column is (schema), plain matrices (raw), files (table), images (images).

Imports gantools.errors, numpy, pandas, pyarrow and Pillow only; never torch. Import the modules themselves: this
package imports nothing, so that naming it costs nothing.
"""
