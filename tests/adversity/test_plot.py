"""The plot is well-formed SVG that shows each series and mark."""

from __future__ import annotations

from xml.etree import ElementTree

from tests.adversity.plot import Mark, Panel, draw

SVG = "{http://www.w3.org/2000/svg}"


def test_series_marks_and_gaps() -> None:
    panel = Panel("Memory <of> all", "MiB", {"gateway": [(0, 10.0), (1, None), (2, 30.0)], "api": [(0, None)]})
    picture = ElementTree.fromstring(draw("A & B", [panel, panel], [Mark(1.5, "gateway killed")]))
    texts = [element.text for element in picture.iter(f"{SVG}text")]
    assert texts.count("gateway") == texts.count("api") == 2
    assert "A & B" in texts
    assert "Memory <of> all (MiB)" in texts
    assert [element.text for element in picture.iter(f"{SVG}title")] == ["gateway killed"] * 2
    lines = [str(element.get("d")) for element in picture.iter(f"{SVG}path") if element.get("fill") == "none"]
    assert lines[0].count("M") == 2  # the gap is not bridged
