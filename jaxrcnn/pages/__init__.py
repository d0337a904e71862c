"""Reports as single HTML pages: one look, and images inside the file."""

from jaxrcnn.pages.images import png_uri, thumbnail
from jaxrcnn.pages.rendering import render

__all__ = ["png_uri", "render", "thumbnail"]
