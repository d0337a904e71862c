"""Pages from templates."""

import pathlib

FOLDER = pathlib.Path(__file__).parent


def render(template: str, folder: pathlib.Path, **values: object) -> str:
    """A page as HTML; all values are escaped.

    Args:
        template: name of a template, which extends ``page.html.jinja`` and may import the macros of
            ``parts.html.jinja``.
        folder: where the template is.
        values: what it names; one that it names and that is missing is an error.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([folder, FOLDER]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(**values)
