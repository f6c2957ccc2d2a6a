"""The documentation site, by Sphinx: `make docs`.

The environment has what the command line's help needs, and no ROS, MuJoCo or PyTorch: their packages are mocked, so
that a fresh machine installs 200 MB for a build, and no PyTorch.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from docutils import nodes
from sphinx.addnodes import toctree
from sphinx.application import Sphinx
from sphinx.ext.autodoc.mock import mock

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

import reference  # noqa: E402 (from tools/)

import roman_moe  # noqa: E402

project, author, copyright = "roman_moe", "The roman_moe authors", "The roman_moe authors, Apache-2.0"
version = release = roman_moe.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["images"]
highlight_language = "bash"
html_theme = "furo"
html_title = f"roman_moe {release}"
html_copy_source = False  # build_finished() writes the pages with what is generated
myst_heading_anchors = 4
autodoc_member_order = "bysource"
autodoc_mock_imports = [
    *("action_msgs", "builtin_interfaces", "diagnostic_msgs", "geometry_msgs", "lifecycle_msgs", "rcl_interfaces"),
    *("rclpy", "rosgraph_msgs", "sensor_msgs", "std_msgs", "std_srvs", "visualization_msgs"),
    *("cv2", "gymnasium", "mcap", "mujoco", "onnxruntime", "rosbags", "torch", "stable_baselines3", "zstandard"),
]
napoleon_custom_sections = [("Attributes", "Args")]  # of a dataclass they are its arguments
default_role = "code"

pages: dict[str, str] = {}


def fill(app: Sphinx, docname: str, source: list[str]) -> None:
    """Put what is generated into a page."""
    with mock(autodoc_mock_imports):
        import cv2
        import rclpy.qos

        rclpy.qos.QoSProfile = SimpleNamespace  # the one class whose values a page shows
        cv2.TERM_CRITERIA_EPS = cv2.TERM_CRITERIA_COUNT = 0  # added up where a module is imported
        source[0] = reference.fill(source[0])
        pages[docname] = reference.with_docstrings(source[0])


def write_for_agents(app: Sphinx, exception: Exception | None) -> None:
    """Write every page as Markdown, and llms.txt (llmstxt.org), which lists them in the order of the contents.

    sphinx-llms-txt would copy the sources, without what is generated.
    """
    if exception is not None or app.builder.name != "html":
        return
    out, env = Path(app.outdir), app.env
    for docname in env.found_docs:
        file = out / f"{docname}.md"
        file.parent.mkdir(exist_ok=True)
        file.write_text(pages[docname], encoding="utf-8")
    root = env.get_doctree(env.config.root_doc)
    lines = [f"# {project} {release}", "", f"> {first_paragraph(root)}"]
    for contents in root.findall(toctree):
        lines += ["", f"## {contents['caption']}", ""]
        for _, docname in contents["entries"]:
            title = env.titles[docname].astext()
            lines.append(f"- [{title}]({docname}.md): {first_paragraph(env.get_doctree(docname))}")
    (out / "llms.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def first_paragraph(page: nodes.document) -> str:
    """The first paragraph with words in it, on one line; what a picture shows is none."""
    said = ("".join(found.findall(nodes.Text)) for found in page.findall(nodes.paragraph))
    return next(filter(None, (" ".join(text.split()) for text in said)), "")


def shorten(app: Sphinx, *described: Any) -> tuple[str | None, str | None]:
    """A signature with types as the source has them: without their modules, and `NDArray` where numpy spells it out."""

    def short(text: str | None) -> str | None:
        if text is None:
            return None
        text = re.sub(r"~?\b(?:\w+\.)+(?=[A-Za-z_])", "", text).replace("<factory>", "...")
        return re.sub(r"ndarray\[tuple\[Any, \.\.\.\], dtype\[(\w+)\]\]", r"NDArray[\1]", text)

    *_, signature, returned = described
    return short(signature), short(returned)


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("source-read", fill)
    app.connect("autodoc-process-signature", shorten)
    app.connect("build-finished", write_for_agents)
