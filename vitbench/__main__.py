"""`python -m vitbench`: the command `vitbench`."""

from vitbench.command import main

if __name__ == "__main__":
    main(prog_name="vitbench")
