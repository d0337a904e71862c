import jinja2
import pytest

from jaxrcnn.pages import render

TEMPLATE = """
{% extends "page.html.jinja" %}
{% from "parts.html.jinja" import draw, figure, gallery %}
{% block title %}{{ name }}{% endblock %}
{% block header %}<h1>{{ name }}</h1>{% endblock %}
{% block content %}
{{ draw(table, colors={name: "#123456"}) }}
{{ figure("data:,x", name) }}
{{ gallery([("data:,y", name)]) }}
{% endblock %}
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "new.jinja").write_text(TEMPLATE)
    return tmp_path


def test_a_page_is_one_file_whose_values_are_escaped(folder):
    name = '<script>"x"</script>'
    text = render("new.jinja", folder, name=name, table={"head": ["a"], "rows": [[name, name]]})
    assert text.lstrip().startswith("<!doctype html>")
    assert text.rstrip().endswith("</html>")
    assert "<script" not in text
    assert text.count("&lt;script&gt;") == 8  # title, h1, two cells, two images with captions
    assert text.count("<style>") == 1
    assert "background: #123456" in text
    assert '<img src="data:,x"' in text
    assert '<div class="gallery">' in text


def test_a_value_that_is_missing_is_an_error(folder):
    with pytest.raises(jinja2.UndefinedError, match="'name' is undefined"):
        render("new.jinja", folder, table={"head": [], "rows": []})
