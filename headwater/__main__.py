"""`python -m headwater`, the same as the installed command."""

from headwater.cli import main

main()
