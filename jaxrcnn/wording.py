"""Numbers in messages for people."""


def counted(number: int, noun: str, plural: str = "") -> str:
    """A number and its noun: ``1 image``, ``2 images``.

    Args:
        number: of the things.
        noun: for one of them.
        plural: for any other number; by default the noun with an s.
    """
    return f"{number} {noun if number == 1 else plural or noun + 's'}"
