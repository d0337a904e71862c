"""python -m jaxrcnn ..."""

from jaxrcnn.cli import program

if __name__ == "__main__":
    program()
