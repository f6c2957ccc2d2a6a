"""The smallest task whose actions turn the hand: two skills, one object; no simulation."""

from __future__ import annotations

from pathlib import Path

TASK = """\
name: turning
home: {{position: [0.4, 0.0, 0.3]}}
gripper: {{open: 0.08}}
action: {{top_speed: 0.2, angular: [{angular}], top_angular_speed: {top_angular_speed}}}
objects: {{peg: {{}}}}
skills: {{reach: {{observes: [peg]}}, fit: {{observes: [peg]}}}}
gate: {{observes: [peg]}}
scenarios: [{{first: reach}}]
"""


def write_small_task(folder: Path, *angular: str, top_angular_speed: float = 0.2) -> Path:
    """Write its task.yaml into `folder`; its actions turn the hand about these axes."""
    folder.mkdir(parents=True, exist_ok=True)
    text = TASK.format(angular=", ".join(angular), top_angular_speed=top_angular_speed)
    (folder / "task.yaml").write_text(text)
    return folder
