"""Each command's whole job: a frozen `Request` in, a `Result` out; files are read and written in between.

`augment.py`, `score.py`, `train.py`, `generate.py`, `export.py` and `info.py` each have `Request` and `run`. What they
refuse without reading data needs neither torch nor pandas. What DATA is, is decided in `opening.py`; the files that end
in `_table` and `_images` do the work for either. Only the command line imports this package.
"""
