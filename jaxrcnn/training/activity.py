"""What takes a while, and for how long."""

import time


class Activity:
    """What a run does between its steps, such as compiling or evaluating.

    Args:
        doing: what it is.
        images: how many it goes through; 0 if it does not go through images.
    """

    def __init__(self, doing: str, images: int) -> None:
        self.doing, self._images = doing, images
        self._began = time.monotonic()
        self.done = 0
        """Images so far."""

    def advance(self, images: int) -> None:
        """Count more images."""
        self.done += images

    def leave_out(self, seconds: float) -> None:
        """Take off what an activity within this one took."""
        self._began += seconds

    @property
    def seconds(self) -> float:
        """How long it has taken so far."""
        return time.monotonic() - self._began

    def __str__(self) -> str:
        count = f": {self.done} of {self._images} images" if self._images else ""
        return f"{self.doing}{count} … {format_duration(self.seconds)}"


def format_duration(seconds: float) -> str:
    """Seconds in the two largest units: 45 s, 3 min 12 s, 1 h 02 min, 2 d 03 h."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours:02} h"
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {seconds:02} s" if minutes else f"{seconds} s"
