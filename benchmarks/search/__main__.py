"""`python -m benchmarks.search`."""

from .run import main

if __name__ == "__main__":
    main()
