"""`python -m headwater`: the same as the console script."""

from headwater.cli.main import run

if __name__ == "__main__":
    run()
