"""`python -m services`: the `veil` command where it is not installed as one."""

from services.cli import main

main()
