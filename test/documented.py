"""The command lines of README and docs: where each stands, how much smaller a test runs it, and which none runs."""

from __future__ import annotations

import dataclasses
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from roman_moe.cli.main import VERBS, verb_class
from roman_moe.cli.parsing import check_numbers, parse
from roman_moe.cli.ros_args import split

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), ROOT / "CONTRIBUTING.md", ROOT / "AGENTS.md"]
PROGRAM = "roman-moe"

IN_PARTS = ("README.md", "cameras.md", "installing.md", "mixtures.md")
"""Pages whose parts (##) begin in a folder of their own each; on the others all commands share one."""

CONTINUED = ("A policy of a suite in the graph",)
"""Parts that go on where the part before has ended."""

SLOW = (
    "cameras.md: Train an estimator",
    "mixtures.md: Distral, with networks",
    "mixtures.md: Sparse gating",
    "mixtures.md: Soft Modularization",
    "mixtures.md: Methods on a suite",
    "gail.md",
    "hand_overs.md",
    "recipe.md",
    "teaching.md",
    "training.md",
)
"""Pages and parts that take minutes as a whole; their tests are slow."""

SLOW_LINES = (
    r"^(?!your_task).*("
    r"demos replay .* --out|roman-moe demo( --[sdpn]| --bundle models|$)|bench|chaos|ablate|compare|data images"
    r"|(teach|train) |collect( --seed 1)?( --out demos$| --task kitting|$)|export runs/|--poses (camera|markers)"
    r"|evaluate poses|--scenarios 0-6|oracle|keyboard|bias-bound)"
)
"""Other lines that take long, by page and text: a slow test of that page or part runs them in their order."""

AGAIN = tuple(f"{PROGRAM} {words} " for words in ("collect --seed 1", "lifecycle", "stop", "swap"))
"""Beginnings of lines that are run on every page: the next line may need them."""

ABLATED = {"--episodes": "1", "--seeds": "1", "--recipe": "SMALL", "--workers": "1"}

SMALLER = {
    "ablate": {**ABLATED, "--methods": "?bc", "--skills": "push"},
    "ablate --methods bc,": {**ABLATED, "--methods": "bc,gail_ppo,hybrid_state_action", "--skills": "push"},
    "ablate --out runs/ablation_few": {**ABLATED, "--methods": "hybrid_5_demos,hybrid_handed_over_5_demos"},
    "ablate --scenarios": {**ABLATED, "--methods": "monolithic"},
    "bench endurance": {"--bringups": "1", "--separate-bringups": "1", "--minutes": "0.1"},
    "bench estimator": {"--frame-sets": "3"},
    "bench graph": {"--seconds": "1"},
    "bench jobs": {"--jobs": "20"},
    "bench learn": {"--seconds": "0.5"},
    "bench markers": {"--starts": "1"},
    "bench mixtures": {"--seconds": "0.5"},
    "bench record": {"--kills": "1", "--seconds": "1"},
    "bench sim": {"--seconds": "0.5"},
    "bench swap": {"--swaps": "3"},
    "bench teleop": {"--keys": "3", "--takeovers": "3"},
    "chaos": {"--runs": "1", "--faults": "kill_blender", "--damaged": "2"},
    "collect": {"--episodes": "1", "--gate-episodes": "?1", "--workers": "1"},
    "collect --source keyboard": {"--episodes": "1", "--workers": "1"},
    "compare": {"--seeds": "2", "--steps": "1000", "--methods": "?soft_modular", "--workers": "1"},
    "compare --methods distral": {
        "--seeds": "2",
        "--steps": "1000",
        "--methods": "distral_kl_ent_2col,ac_2col",
        "--workers": "1",
    },
    "compare --suite kitting": {"--seeds": "2", "--steps": "1000", "--methods": "soft_modular", "--workers": "1"},
    "compare --methods sac": {"--seeds": "2", "--steps": "1000", "--methods": "sac,mix_expert", "--workers": "1"},
    "data images": {"--count": "400", "--workers": "1"},
    "demo": {"--scenario": "0", "--video-size": "320x176", "--video-speed": "20"},
    "evaluate": {"--episodes": "1", "--workers": "1"},
    "evaluate --bias-bound": {"--bias-bound": "0.005,0.01", "--episodes": "1", "--workers": "1"},
    "evaluate --calibration-error": {
        "--bias-bound": "0,0.01",
        "--calibration-error": "0:0,1:0.01",
        "--episodes": "1",
        "--workers": "1",
    },
    "evaluate --noise-bound 0,": {"--noise-bound": "0,0.02", "--episodes": "1", "--workers": "1"},
    "evaluate --poses": {"--scenarios": "0", "--episodes": "1", "--workers": "1"},
    "evaluate multitask": {"--episodes": "1"},
    "evaluate poses": {"--images": "8", "--episodes": "1", "--workers": "1"},
    "record --device none": {"--episodes": "1", "--least-rate": "?0"},
    "teach": {"--episodes": "1", "--workers": "1"},
    "teach --record": {"--out": "runs/recorded", "--episodes": "1", "--workers": "1"},
    "train all": {"--recipe": "SMALL", "--workers": "1"},
    "train bc": {"--recipe": "SMALL", "--workers": "1"},
    "train expert": {"--recipe": "SMALL", "--workers": "1"},
    "train gridworld": {"--seeds": "2", "--iterations": "3"},
    "train multitask": {"--steps": "1000"},
    "train multitask --demos": {},
    "train poses": {"--recipe": "SMALL", "--workers": "1"},
}
"""Options that are replaced or added when a test runs a command; ? adds, and replaces none.

SMALL is the command's recipe with few steps.
"""

SOMETIMES_1 = (
    *("bench endurance", "bench swap", "bench teleop", "chaos", "status"),
    *("demo --bundle out", "demo --bundle runs", "teach"),
)
"""What may end with 1: a figure that depends on the machine's speed, or a network after few steps, is no fault."""

NOT_RUN = {
    r"--cluster": "Ray or Slurm: `make test-cluster` runs such commands",
    r"--device (gamepad|spacemouse)": "an operator's device: test/teleop/test_devices.py gives the bytes of one",
    r"--arm servo": "a robot: test/learning/test_taught.py runs `--arm servo` against an emulator of MoveIt Servo",
    r"lifecycle arm_bridge": "a robot: test/nodes/test_servo_link.py activates the node against an emulator",
    r"calibrate .* --topic": "a camera: test/cli/test_calibrate_live.py publishes such images",
    r"metaworld|mt3": "Meta-World, in an environment of its own",
    r"roman-moe (bench|demos|record|VERB( --help)?|export --from FILE|tasks check (FOLDER|roman --arm FOLDER))$": (
        "names a command, and leaves out what it works on"
    ),
    r"^(\S*/)?python -m pytest": "the tests themselves",
    r"^make ": "test/packaging/test_make.py has the Makefile",
    r"^(pip|export|ray) ": "packages from an index, or Ray",
    r"^ros2 ": "a ROS installation",
}
"""What no test here runs, and why; patterns of command lines, beginning anywhere in one."""


@dataclass(frozen=True)
class Line:
    """A command line of a page."""

    text: str

    @property
    def why_not(self) -> str:
        """Why no test here runs it; empty if one does."""
        return next((why for pattern, why in NOT_RUN.items() if re.search(pattern, self.text)), "")


@dataclass(frozen=True)
class Fence:
    """A block of a page: a `diff` of files, or as `text` what the commands before it print, with ... for the rest."""

    kind: str
    text: str


Step = Line | Fence

STEP = re.compile(
    r"^ {4,}((?:\S*/)?(?:roman-moe|python|cp|make|pip|export|ray|ros2) [^\n]*)$"  # in an indented block
    rf"|`({PROGRAM}\s[^`]*)`"  # in a sentence, where it may be folded
    r"|^```(diff|text)\n(.*?)^```",
    re.MULTILINE | re.DOTALL,
)


def steps_of(text: str) -> list[Step]:
    """Command lines of a page, and the blocks that belong to them, in their order."""
    steps: list[Step] = []
    for block, quoted, kind, fence in STEP.findall(text):
        if kind:
            steps.append(Fence(kind, fence))
            continue
        # a comment, and where a shell sends what is printed, are none of the command's
        line = re.split(" [#>]", block)[0] if block else " ".join(quoted.split())
        mentioned = re.findall(rf"`({PROGRAM} [^`]*)`", block.partition(" #")[2])
        steps += map(Line, [*alternatives(line.strip()), *mentioned])
    return steps


def alternatives(line: str) -> list[str]:
    """`bench sim | control` is two command lines."""
    first, *others = line.split(" | ")
    return [first, *(f"{first.rpartition(' ')[0]} {other}" for other in others)]


def lines_of(text: str) -> list[Line]:
    return [step for step in steps_of(text) if isinstance(step, Line)]


def documented() -> list[tuple[str, str]]:
    """Page and text of every command line of ours."""
    return [
        (page.name, line.text)
        for page in PAGES
        for line in lines_of(page.read_text(encoding="utf-8"))
        if line.text.startswith(f"{PROGRAM} ")
    ]


@dataclass(frozen=True)
class Walk:
    """What a test runs in one folder: a page, or a part of one.

    Attributes:
        steps: all but the lines that no test runs, or that another walk does.
    """

    name: str
    text: str
    steps: tuple[Step, ...]
    slow: bool

    @property
    def lines(self) -> list[Line]:
        return [step for step in self.steps if isinstance(step, Line)]


def walks() -> list[Walk]:
    """Every page or part with something to run, the quick ones first: a line that stands twice is run once.

    Only what AGAIN has is run on each page.
    """
    parts: list[tuple[str, str]] = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for part in re.split(r"^## ", text, flags=re.MULTILINE) if page.name in IN_PARTS else [text]:
            title = part.partition("\n")[0]
            if title in CONTINUED:
                name, before = parts.pop()
                parts.append((name, before + part))
            else:
                parts.append((f"{page.name}: {title}" if page.name in IN_PARTS else page.name, part))
    elsewhere: set[str] = set()
    found = []
    for slow in (False, True):
        for name, text in parts:
            steps: list[Step] = []
            here: set[str] = set()
            runs = False  # the last line
            for step in steps_of(text):
                if isinstance(step, Line):
                    late = name in SLOW or bool(re.search(SLOW_LINES, f"{name}: {step.text}"))
                    runs = late is slow and not step.why_not and step.text not in here | elsewhere
                    here.add(step.text)
                elif step.kind == "diff":
                    here.clear()  # the same command on other files
                if runs or (isinstance(step, Fence) and step.kind == "diff"):
                    steps.append(step)
            elsewhere |= {
                step.text for step in steps if isinstance(step, Line) and not f"{step.text} ".startswith(AGAIN)
            }
            if any(isinstance(step, Line) for step in steps):
                found.append(Walk(name, text, tuple(steps), slow))
    return found


def smaller(arguments: list[str]) -> list[str]:
    """The arguments of a command as a test gives them; those of which SMALLER says nothing stay."""
    words = " ".join(arguments)
    known = [key for key in SMALLER if f"{words} ".startswith(f"{key.partition(' --')[0]} ") and _has(words, key)]
    if not known:
        return arguments
    result = list(arguments)
    for option, value in SMALLER[max(known, key=len)].items():
        if option not in result:
            result += [option, value.removeprefix("?")]
        elif not value.startswith("?"):
            result[result.index(option) + 1] = value
    return result


def _has(words: str, key: str) -> bool:
    _, dashes, option = key.partition(" --")
    return not dashes or f"--{option}" in words


def words_of(line: str) -> list[str]:
    """Arguments of a command line of ours."""
    return shlex.split(line.replace(" ...", ""))[1:]


def parsed(arguments: list[str]) -> Any:
    """The dataclass that a command line fills; None if it is a verb that needs one of its parts."""
    verb, *rest = arguments
    assert verb in VERBS
    command = verb_class(verb)
    parts = getattr(command, "PARTS", {})
    if rest and rest[0] in parts:
        part, *rest = rest
        command = parts[part]
    elif not dataclasses.is_dataclass(command):
        assert not rest  # the verb as such
        return None
    own, ros_args = split(rest)
    assert not ros_args or hasattr(command, "ros_args")
    found = parse(command, f"{PROGRAM} {verb}", own)
    assert found is not None
    check_numbers(found)
    return found


def apply(diff: str, folder: Path) -> None:
    """Change the files of a folder as a diff without line numbers says; its hunks are parted by @@."""
    for part in re.split("^--- ", diff, flags=re.MULTILINE)[1:]:
        name, _, hunks = part.partition("\n")
        text = (folder / name).read_text() if (folder / name).exists() else ""
        for hunk in hunks.split("@@\n"):
            old, new = (
                "".join(line[1:] for line in hunk.splitlines(True) if line[0] in signs) for signs in (" -", " +")
            )
            assert old in text, old
            text = text.replace(old, new, 1)
        (folder / name).write_text(text)
