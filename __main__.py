"""``python -m aipartnerupflow`` is ``apflow``."""

from .api.cli.main import main

if __name__ == "__main__":
    main()
