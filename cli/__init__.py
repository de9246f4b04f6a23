"""The command line of gantools: one file per command; a command parses, calls the library and prints.

Installed as `gantools_cli`. May import anything of gantools, but only inside functions: `gantools --help` must not
wait for torch, pandas or scikit-learn.
"""
