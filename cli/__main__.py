"""`python -m gantools_cli`: the command line where no console script is installed."""

from .main import main

main(prog_name="gantools")
