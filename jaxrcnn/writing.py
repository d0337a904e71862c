"""Files that are replaced as a whole, so that a crash leaves the old one or the new one."""

import os
import pathlib


def replace_text(path: pathlib.Path, text: str) -> None:
    """Rewrite a file so that a crash leaves the old one or the new one."""
    temporary = path.with_name(path.name + ".tmp")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)  # it takes the space that is missing
        raise
