"""The pictures of the documentation can be read: in light and dark, and in small."""

from __future__ import annotations

import importlib
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

SVG = "{http://www.w3.org/2000/svg}"
TEXT, SHAPE = 4.5, 3.0
"""The contrasts that the Web Content Accessibility Guidelines ask for, in level AA."""

AREAS = "paper", "band", "line grid"
"""What is behind the rest, and the grid of the chart: they only decorate."""

PICTURES = "diagrams/sequence.svg", "diagrams/states.svg", "performance/chart.svg"


@pytest.fixture(params=PICTURES)
def picture(request: pytest.FixtureRequest, project: Path) -> ET.Element:
    return ET.parse(project / "docs" / request.param).getroot()


def test_no_picture_is_forgotten(project):
    docs = project / "docs"
    there = [*docs.glob("diagrams/*.svg"), *docs.glob("performance/*.svg")]

    assert {*PICTURES} == {path.relative_to(docs).as_posix() for path in there}


def luminance(colour: str) -> float:
    """Return the relative luminance of `#rrggbb`, as WCAG defines it."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted([luminance(one), luminance(other)], reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_the_contrast_is_that_of_the_guidelines():
    assert 21.0 == contrast("#000000", "#ffffff")
    assert 1.0 == contrast("#123456", "#123456")
    assert 4.48 == round(contrast("#777777", "#ffffff"), 2)


def rules(svg: ET.Element, scheme: str) -> list[tuple[str, dict[str, str]]]:
    """Return the selectors with their declarations, in order; those of `text` first."""
    style = svg.findtext(f"{SVG}style") or ""
    light, _, dark = style.partition("@media (prefers-color-scheme: dark) {")
    assert dark, "the picture knows no dark mode"
    found = [
        (selector.strip(), dict(re.findall(r"([\w-]+): ([^;}]+?)\s*(?=[;}]|$)", body)))
        for selectors, body in re.findall(r"([^{}]+){([^{}]*)}", light + dark * (scheme == "dark"))
        for selector in selectors.split(",")
    ]
    return sorted(found, key=lambda rule: rule[0].startswith("."))


def colour(element: ET.Element, kind: str, styles: list[tuple[str, dict[str, str]]]) -> str | None:
    names = {element.tag.removeprefix(SVG)}
    names |= {f".{name}" for name in element.get("class", "").split()}
    found = [style[kind] for selector, style in styles if selector in names and kind in style]
    assert kind not in element.attrib, "colours are in the style, which knows the dark mode"
    return found[-1] if found and found[-1] != "none" else None


def papers(
    svg: ET.Element, styles: list[tuple[str, dict[str, str]]]
) -> Iterator[tuple[ET.Element, str]]:
    """Yield each text and shape with what it stands on: the last area that is drawn there."""
    areas: list[tuple[list[float], str]] = []
    for element in svg:
        if element.tag in {SVG + "text", SVG + "circle"}:
            x, y = (float(element.get(key) or element.get(f"c{key}") or 0) for key in "xy")
            yield (
                element,
                [
                    fill
                    for (left, top, width, height), fill in areas
                    if left <= x <= left + width and top <= y - 4 <= top + height
                ][-1],
            )
        elif element.tag in {SVG + "path", SVG + "line"}:
            yield element, areas[0][1]
        elif element.tag == SVG + "rect":
            if areas:
                yield element, areas[0][1]
            if fill := colour(element, "fill", styles):
                box = [float(element.get(key, 0)) for key in ("x", "y", "width", "height")]
                areas.append((box, fill))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_what_is_behind_it(picture, scheme):
    styles = rules(picture, scheme)
    faint = [
        (element.text, contrast(colour(element, "fill", styles), paper))
        for element, paper in papers(picture, styles)
        if element.tag == SVG + "text"
    ]

    assert len(faint) > 20
    assert [] == [(text, found) for text, found in faint if found < TEXT]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_line_and_bar_stands_out_from_the_paper(picture, scheme):
    styles = rules(picture, scheme)
    found = [
        (element.get("class"), contrast(shown, paper))
        for element, paper in papers(picture, styles)
        if element.tag != SVG + "text" and element.get("class") not in AREAS
        for shown in [colour(element, "stroke", styles) or colour(element, "fill", styles)]
        if shown is not None
    ]

    assert len(found) > 10
    assert [] == [(name, value) for name, value in found if value < SHAPE]


def test_the_two_schemes_have_papers_of_their_own(picture):
    """So a picture can be read on any page, be it of the other scheme."""
    light, dark = (
        next(
            style["fill"]
            for selector, style in rules(picture, scheme)[::-1]
            if selector == ".paper"
        )
        for scheme in ("light", "dark")
    )

    assert luminance(light) > 0.9
    assert luminance(dark) < 0.02


def test_every_picture_has_a_title_and_tells_its_size(picture):
    assert picture.findtext(f"{SVG}title")
    assert picture.get("role") == "img"
    assert (
        picture.get("viewBox") == f"0 0 {picture.get('width')} {picture.get('viewBox').split()[3]}"
    )


def test_pages_show_the_pictures_with_a_text(project):
    docs = project / "docs"
    shown = set()
    for page in docs.glob("*.md"):
        text = page.read_text(encoding="utf-8")
        for alt, path in re.findall(r"!\[([^]]*)]\(([^)]+\.svg)\)", text):
            assert len(alt) > 20
            shown.add(path)

    assert {*PICTURES} <= shown


def test_the_chart_is_drawn_of_the_published_results(project, monkeypatch):
    """`python -m benchmarks.chart` draws it again."""
    monkeypatch.syspath_prepend(str(project))
    monkeypatch.delitem(sys.modules, "benchmarks.chart", raising=False)
    chart = importlib.import_module("benchmarks.chart")
    folder = project / "docs" / "performance"
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))

    assert chart.draw(results["numbers"]) == (folder / "chart.svg").read_text(encoding="utf-8")
