"""python -m jaxrcnn ..."""

from jaxrcnn.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
