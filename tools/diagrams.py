"""Draws the diagrams of README and docs, docs/images/*.svg, from the boxes and arrows that are listed here.

Usage: diagrams.py [FOLDER], docs/images by default.
"""

from __future__ import annotations

import sys
from pathlib import Path
from xml.sax.saxutils import escape

LINE, BOX = 17, 38  # [pixels] from line to line of a text; height of a box of one line
STYLE = """
text { font: 14px "DejaVu Sans", Verdana, Helvetica, sans-serif; fill: #22262b; text-anchor: middle }
.small { font-size: 12px; fill: #4b5563 }
rect { rx: 7px; stroke: #4b5563; stroke-width: 1.3 }
path { fill: none; stroke: #4b5563; stroke-width: 1.5; marker-end: url(#tip) }
.weight { stroke: #8757d6 }
.faint { stroke-dasharray: 4 4 }
"""
TIP = (
    '<marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto">'
    '<polygon points="0,1 10,5 0,9" fill="#4b5563"/></marker>'
)
PLAIN, STATE, GATE, EXPERT, SAFE = "#ffffff", "#e8f0fe", "#efe6fb", "#e6f4ea", "#fdecdc"


class Diagram:
    """Boxes, arrows and texts of one picture [pixels]."""

    def __init__(self, width: int, height: int, title: str) -> None:
        self._head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
            f'role="img"><title>{escape(title)}</title><style>{STYLE}</style><defs>{TIP}</defs>'
            f'<rect width="{width}" height="{height}" fill="#ffffff" style="stroke: none"/>'
        )
        self._parts: list[str] = []

    def box(self, x: float, y: float, width: float, text: str, fill: str = PLAIN, height: float = BOX) -> None:
        """A box whose left side is at `x` and whose middle is at the height `y`."""
        self._parts.append(
            f'<rect x="{x:g}" y="{y - height / 2:g}" width="{width:g}" height="{height:g}" fill="{fill}"/>'
        )
        self.text(x + width / 2, y, text, "")

    def text(self, x: float, y: float, text: str, kind: str = "small") -> None:
        """Lines of text about a point."""
        lines = text.split("\n")
        for number, line in enumerate(lines):
            down = y + 5 + LINE * (number - (len(lines) - 1) / 2)
            self._parts.append(f'<text class="{kind}" x="{x:g}" y="{down:g}">{escape(line)}</text>')

    def arrow(self, *points: tuple[float, float], kind: str = "") -> None:
        """An arrow along points."""
        way = " L".join(f"{x:g} {y:g}" for x, y in points)
        self._parts.append(f'<path class="{kind}" d="M{way}"/>')

    def svg(self) -> str:
        """The file's text."""
        return "\n".join([self._head, *self._parts, "</svg>", ""])


def architecture() -> Diagram:
    """From cameras to the arm and round again."""
    picture = Diagram(1000, 340, "A gate weighs skill experts; the arm follows their blended velocities")
    picture.box(20, 90, 100, "cameras")
    picture.box(20, 190, 100, "arm")
    picture.box(160, 90, 130, "object poses")
    picture.box(160, 190, 130, "hand, fingers")
    picture.box(330, 140, 120, "SceneState", STATE)
    for y in (90, 190):
        picture.arrow((120, y), (160, y))
        picture.arrow((290, y), (310, y), (310, 140), (330, 140))
    picture.box(510, 50, 120, "gate", GATE)
    for y, name in ((120, "expert 1"), (170, "expert 2"), (240, "expert n")):
        picture.box(510, y, 120, name, EXPERT)
    picture.text(570, 205, "...")
    for y in (50, 120, 170, 240):
        picture.arrow((450, 140), (480, 140), (480, y), (510, y))
    picture.box(730, 140, 80, "blend", STATE)
    picture.arrow((630, 50), (770, 50), (770, 121), kind="weight")
    picture.text(700, 36, "weights")
    for y in (120, 170, 240):
        picture.arrow((630, y), (690, y), (690, 140), (730, 140))
    picture.text(730, 205, "velocities")
    picture.box(850, 140, 120, "guard", SAFE)
    picture.arrow((810, 140), (850, 140))
    picture.arrow((910, 159), (910, 305), (70, 305), (70, 209))
    picture.text(490, 290, "Command, one a tick: velocity of the hand, gripper opening")
    return picture


def gated(title: str, chosen: str, idle: int = 3) -> Diagram:
    """A gate over three experts, of which those from `idle` on are not run."""
    picture = Diagram(640, 210, title)
    picture.box(20, 105, 90, "state", STATE)
    picture.box(180, 40, 120, chosen, GATE)
    for number, name in enumerate(("expert 1", "expert 2", "expert n")):
        y, kind = 90 + 45 * number, "faint" if number >= idle else ""
        picture.box(180, y, 120, name, EXPERT if number < idle else PLAIN)
        picture.arrow((110, 105), (145, 105), (145, y), (180, y), kind=kind)
        picture.arrow((300, y), (370, y), (370, 105), (420, 105), kind=kind)
    picture.arrow((110, 105), (145, 105), (145, 40), (180, 40))
    picture.arrow((300, 40), (460, 40), (460, 86), kind="weight")
    picture.box(420, 105, 80, "sum", STATE)
    picture.arrow((500, 105), (545, 105))
    picture.box(545, 105, 75, "action", STATE)
    return picture


def gate() -> Diagram:
    """ROMAN's mixture."""
    picture = gated("ROMAN: one gate weighs all experts", "gate: softmax")
    picture.text(390, 26, "a weight for each")
    return picture


def sparse() -> Diagram:
    """A sparse gate."""
    picture = gated("A sparse gate runs k of n experts", "gate: top k", idle=2)
    picture.text(385, 26, "k weights, all others 0")
    picture.text(435, 166, "weight 0: not run")
    return picture


def distral() -> Diagram:
    """Distral."""
    picture = Diagram(640, 210, "Distral: each task's policy is kept near one prior, which is distilled from them")
    picture.box(240, 45, 160, "prior policy", GATE)
    for x, name in ((30, "policy of task 1"), (240, "policy of task 2"), (450, "policy of task n")):
        picture.box(x, 160, 160, name, EXPERT)
        picture.arrow((x + 65, 141), (x + 65, 110), (300, 110), (300, 64), kind="weight")
        picture.arrow((340, 64), (340, 90), (x + 95, 90), (x + 95, 141), kind="faint")
    picture.text(150, 60, "distilled (solid)")
    picture.text(490, 60, "kept near it (dashed)")
    return picture


def soft_modular() -> Diagram:
    """Soft Modularization."""
    picture = Diagram(640, 240, "Soft Modularization: a routing network weighs the ways between layers of modules")
    picture.box(20, 75, 90, "state", STATE)
    picture.box(20, 195, 90, "task", STATE)
    for x in (190, 360):
        for y, name in ((45, "module 1"), (105, "module n")):
            picture.box(x, y, 100, name, EXPERT)
    for y in (45, 105):
        picture.arrow((110, 75), (150, 75), (150, y), (190, y))
        picture.arrow((460, y), (500, y), (500, 75), (545, 75))
        for end in (45, 105):
            picture.arrow((290, y), (360, end))
    picture.box(545, 75, 75, "action", STATE)
    picture.box(190, 195, 270, "routing network", GATE)
    picture.arrow((110, 195), (190, 195))
    picture.arrow((65, 94), (65, 140), (150, 140), (150, 185), (190, 185))
    picture.arrow((325, 176), (325, 112), kind="weight")
    picture.text(395, 150, "weights of the ways")
    return picture


DIAGRAMS = {
    "architecture.svg": architecture,
    "mixture_gate.svg": gate,
    "mixture_sparse.svg": sparse,
    "mixture_distral.svg": distral,
    "mixture_soft_modular.svg": soft_modular,
}


def main(folder: Path) -> None:
    """Write all of them."""
    for name, draw in DIAGRAMS.items():
        (folder / name).write_text(draw().svg())


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1] / "docs" / "images")
