"""`python -m kcolor`: the command line."""

from kcolor.cli.main import main

main()
