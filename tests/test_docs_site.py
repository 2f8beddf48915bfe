"""The check of the built documentation finds what is broken."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path

import pytest

LND = (
    "<table><tr><td><code>Stop</code></td><td><a href='#'><code>start</code></a></td></tr></table>"
)


@pytest.fixture
def check(project: Path, tmp_path: Path) -> Callable[..., list[str]]:
    """Checks a site of these pages."""
    script = runpy.run_path(str(project / "docs" / "check_site.py"))

    def check(**pages: str) -> list[str]:
        for name, text in {"lnd": LND, **pages}.items():
            (tmp_path / f"{name}.html").write_text(text, encoding="utf-8")
        return script["check"](tmp_path)

    return check


@pytest.mark.parametrize(
    "link",
    ["other.html", "other.html#there", "#here", "#", "https://example.com/a#b", "mailto:a@b.org"],
)
def test_links_that_lead_somewhere_pass(check, link):
    assert [] == check(
        index=f'<p id="here"><a href="{link}">x</a></p>',
        other='<a id="there" href="index.html"></a>',
    )


@pytest.mark.parametrize(
    "link, wrong",
    [
        ("gone.html", "no such file: gone.html"),
        ("lnd.html#gone", "no such anchor: lnd.html#gone"),
        ("#gone", "no such anchor: #gone"),
        ("https:///a", "a link without a host: https:///a"),
        ("https://example.com/a b", "no such kind of link: https://example.com/a b"),
        ("javascript:alert()", "no such kind of link: javascript:alert()"),
    ],
)
def test_links_that_lead_nowhere_are_found(check, link, wrong):
    assert [f"index.html: {wrong}"] == check(index=f'<a href="{link}">x</a>')


def test_pictures_that_are_missing_or_have_no_text_are_found(check):
    assert [
        "index.html: an image without a text: gone.svg",
        "index.html: no such file: gone.svg",
    ] == check(index='<img src="gone.svg">')


def test_a_name_in_the_comparison_that_is_no_link_is_found(check):
    """But for lnd's own names, and variables of the port's methods."""
    row = "<tr><td><code>{}</code></td><td><code>{}</code></td><td><code>{}</code></td></tr>"
    lnd = f"<table>{row.format('start_0', 'next_rep', 'Shelf.add')}</table>"

    assert ["lnd.html: not a link: Shelf.add"] == check(lnd=lnd)


def test_a_site_without_the_comparison_is_not_the_site(project, tmp_path):
    script = runpy.run_path(str(project / "docs" / "check_site.py"))

    assert ["there is no lnd.html"] == script["check"](tmp_path)


def test_the_exit_status_tells_whether_anything_is_wrong(project, tmp_path, capsys):
    script = runpy.run_path(str(project / "docs" / "check_site.py"))
    (tmp_path / "lnd.html").write_text(LND, encoding="utf-8")

    assert 0 == script["main"](str(tmp_path))
    assert "No link is broken." in capsys.readouterr().out

    (tmp_path / "index.html").write_text('<a href="gone.html">x</a>', encoding="utf-8")

    assert 1 == script["main"](str(tmp_path))
    assert "index.html: no such file: gone.html" in capsys.readouterr().out
