"""Each command's whole job as one function, one file per command; only the command line imports them."""
