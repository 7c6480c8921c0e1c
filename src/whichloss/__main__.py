"""python -m whichloss."""

from .cli import main

main()
