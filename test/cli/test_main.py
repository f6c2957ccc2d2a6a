"""The command line as people meet it: help, versions, and one line instead of a traceback."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

import roman_moe
from roman_moe.cli import main as entry
from roman_moe.cli.parsing import RENAMED, option_names, parse
from roman_moe.cli.user_errors import EXTRAS, REQUIRED, ROS_MODULES, reason
from roman_moe.core.errors import BundleError, ConfigError

ROOT = Path(__file__).parents[2]
PARTS = {
    "train": ("all", "expert", "gate", "bc", "poses", "multitask", "gridworld"),
    "bench": ("sim", "control", "graph", "learn", "swap", "endurance"),
    "tasks": ("list", "info", "check", "new"),
    "demos": ("list", "info", "plot", "check", "replay", "edit", "export", "import"),
}
COMMANDS = [(verb, *part) for verb in entry.VERBS for part in ([(p,) for p in PARTS[verb]] if verb in PARTS else [()])]
COMMANDS += [("evaluate", "poses"), ("evaluate", "multitask")]
HEAVY = ("mujoco", "torch", "rclpy", "onnxruntime", "matplotlib", "tyro", "rich", "numpy")


def python(*arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """A Python process that can import the checkout, installed or not."""
    command = [sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=env)


def run(*arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return python("-m", "roman_moe", *arguments, env=env)


def one_line_refusal(capsys: pytest.CaptureFixture[str]) -> str:
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("roman-moe: ")
    assert captured.err.count("\n") == 1
    assert captured.err.endswith("\n")
    return captured.err


def test_help_lists_every_verb_with_what_it_does(capsys: pytest.CaptureFixture[str]):
    assert entry.main(["--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for verb in entry.VERBS:
        (line,) = [line for line in lines if line.startswith(f"  {verb} ")]
        assert line.split(maxsplit=1)[1].endswith((".", "!")), f"{verb}: its docstring's first line is no sentence"


def test_every_module_of_a_verb_is_registered():
    helpers = {
        "__init__",
        "demos_write",
        "episodes",
        "evaluate_poses",
        "main",
        "keys",
        "options",
        "outputs",
        "parsing",
        "progress",
        "quick_stop",
        "selections",
        "graph_options",
        "user_errors",
        "ros_args",
        "train_gridworld",
        "evaluate_multitask",
        "train_multitask",
        "train_poses",
    }
    modules = {path.stem for path in Path(entry.__file__).parent.glob("*.py")} - helpers
    assert modules == set(entry.VERBS)


def test_help_imports_nothing_heavy():
    assert run("--help").returncode == 0
    code = (
        f"import sys; from roman_moe.cli.main import help_text; help_text(); print(set({HEAVY!r}) & set(sys.modules))"
    )
    assert python("-c", code).stdout.strip() == "set()"


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_plain_help_that_fits_a_terminal(
    command: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("COLUMNS", "80")
    assert entry.main([*command, "--help"]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"usage: roman-moe {' '.join(command)} ")
    assert max(map(len, text.splitlines())) <= 80
    for word in ("STR", "INT", "FLOAT", "PATH", "{None}", "None)", "--no-take", "--no-dis", "False)", "True)", "''"):
        assert word not in text
    assert entry.main(["help", *command]) == 0
    assert capsys.readouterr().out == text


@pytest.mark.parametrize("command", [(), *((verb,) for verb in PARTS)], ids=" ".join)
def test_every_list_of_commands_fits_a_terminal(command: tuple[str, ...], capsys: pytest.CaptureFixture[str]):
    assert entry.main([*command, "--help"]) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    for name in PARTS[command[0]] if command else entry.VERBS:
        assert f"\n  {name} " in text
    assert entry.main(["help", *command]) == 0
    assert capsys.readouterr().out == text


def test_a_part_shows_its_own_options_only(capsys: pytest.CaptureFixture[str]):
    shown = {}
    for part in PARTS["train"]:
        assert entry.main(["train", part, "--help"]) == 0
        shown[part] = set(re.findall(r"^  (--[a-z-]+)", capsys.readouterr().out, re.MULTILINE))
    common = {"--demos", "--seed", "--workers", "--json", "--out", "--recipe"}
    assert common <= shown["bc"] & shown["all"]
    assert {"--networks", "--force"} <= shown["bc"] - shown["all"]
    assert "--resume" in shown["all"] - shown["bc"]


@pytest.mark.parametrize("command", entry.commands())
def test_every_option_is_explained(command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert entry.main([*command.split(), "--help"]) == 0
    for line, after in pairwise(capsys.readouterr().out.splitlines()):
        if found := re.match(r"  (--[a-z-]+)(?: \S+)?(?:  +(.*))?$", line):
            text = found[2] or after.strip()
            assert re.match(r"\w", text), f"{command}: {found[1]} has neither a docstring nor a type that explains it"


def test_former_names_of_options_are_understood_and_said(capsys: pytest.CaptureFixture[str]):
    for arguments in (["--controller", "mine"], ["--controller=mine"]):
        assert parse(entry.verb_class("run"), "roman-moe run", arguments).bundle == Path("mine")
        assert capsys.readouterr().err == "--controller is now --bundle: the former name goes with the next version\n"
    with pytest.raises(ConfigError, match="unknown option --controller"):
        parse(entry.verb_class("status"), "roman-moe status", ["--controller", "mine"])


def test_former_names_of_options_lead_to_present_ones():
    commands = [set(option_names(command)) for command in entry.commands().values()]
    for former, present in RENAMED.items():
        assert any(present in options for options in commands)
        assert not any({former, present} <= options for options in commands)


def test_importing_a_verb_loads_no_simulator_and_no_graph():
    modules = [f"roman_moe.cli.{verb}" for verb in entry.VERBS]
    heavy = {"mujoco", "torch", "rclpy"}
    code = (
        f"import sys, importlib\nfor m in {modules!r}: importlib.import_module(m)\nprint({heavy!r} & set(sys.modules))"
    )
    done = python("-c", code)
    assert done.stdout.strip() == "set()", done.stderr


def test_version_is_the_packages(capsys: pytest.CaptureFixture[str]):
    assert entry.main(["--version"]) == 0
    assert capsys.readouterr().out == f"roman-moe {roman_moe.__version__}\n"


def test_no_verb_shows_the_help_and_fails(capsys: pytest.CaptureFixture[str]):
    assert entry.main([]) == 2
    assert "verbs:" in capsys.readouterr().out


def test_unknown_verb_is_named_with_the_one_meant(capsys: pytest.CaptureFixture[str]):
    assert entry.main(["evalute", "models/roman"]) == 2
    assert "unknown verb 'evalute': did you mean 'evaluate'?" in one_line_refusal(capsys)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["demo", "--scenario", "six"], "--scenario 'six': expected a whole number (see roman-moe demo --help)"),
        (["demo", "--scenario", "1.5"], "--scenario '1.5': expected a whole number"),
        (["demo", "--noise-bound", "a b"], "--noise-bound 'a b': expected a number"),
        (["demo", "--scenari", "6"], "unknown option --scenari: did you mean --scenario?"),
        (["demo", "--scenari=6"], "unknown option --scenari: did you mean --scenario?"),
        (["demo", "--nothing-like-it-" + 200 * "x"], f"unknown option --nothing-like-it-{200 * 'x'} "),
        (["demo", "--scenario"], "--scenario: expected a value after it"),
        (["demo", "six"], "'six' is one argument too many"),
        (["demo", "--no-disturb"], "unknown option --no-disturb"),
        (["evaluate"], "CONTROLLER is missing: folder of a bundle"),
        (["export"], "export: expected SOURCE and OUT, or --from FILE"),
        (["export", "x"], "export: expected SOURCE and OUT, or --from FILE"),
        (["evaluate", "oracle", "--noise-kind", "pink"], "--noise-kind 'pink': expected one of clipped, gaussian"),
        (["chaos", "--start", "push"], "--start 'push': expected one of 2, 3, 4, 5, 6"),
        (["collect", "--episodes", "0"], "--episodes 0: expected 1 or more"),
        (["help", "demoo"], "unknown verb 'demoo': did you mean 'demo'?"),
        (["bench", "arm"], "'arm'"),
        (["bench"], "sim"),
        (["demo", "--scenario", "9"], "9"),
        (["evaluate", "oracle", "--scenarios", "9"], "'9'"),
        (["evaluate", "oracle", "--skills", "shove"], "'shove'"),
        (["evaluate", "oracle", "--noise-bound", "0,abc"], "'abc'"),
        (["evaluate", "oracle", "--noise-bound", "0.005,0.005"], "0.005 is given twice"),
        (["evaluate", "oracle", "--noise-bound", "-1"], "-1"),
        (["evaluate", "oracle", "--noise-bound", "nan"], "nan"),
        (["collect", "--disturbed-share", "2"], "--disturbed-share 2"),
        (["collect", "--disturbed-share", "nan"], "--disturbed-share nan"),
        (["collect", "--poor-channel-share", "2"], "--poor-channel-share 2"),
        (["evaluate", "oracle", "--delay", "-1"], "--delay -1"),
        (["evaluate", "oracle", "--lost-share", "nan"], "--lost-share nan"),
        (["ablate", "--lost-share", "2"], "--lost-share 2"),
        (["ablate", "--delay", "-1"], "--delay -1"),
        (["bench", "control", "--bundle", "models/none"], "models/none"),
        (["bench", "sim", "--seconds", "nan"], "--seconds nan"),
    ],
)
def test_arguments_that_cannot_be_used_give_one_line_and_2(
    arguments: list[str], named: str, capsys: pytest.CaptureFixture[str]
):
    assert entry.main(arguments) == 2
    assert named in one_line_refusal(capsys)


def test_a_process_refuses_without_a_traceback():
    done = run("bench", "arm")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "sim" in done.stderr


def fail_with(error: BaseException):
    def dispatch(_: list[str]) -> int:
        raise error

    return dispatch


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (BundleError("models/x: no\n  manifest"), "roman-moe: models/x: no manifest\n"),
        (PermissionError(13, "Permission denied", "/out/f.json"), "roman-moe: /out/f.json: Permission denied\n"),
        (OSError(28, "No space left on device"), "roman-moe: no space left on the device: free some and try again\n"),
        (
            RuntimeError("invalid value for environment variable MUJOCO_GL: foo"),
            "roman-moe: invalid value for environment variable MUJOCO_GL: foo: "
            "set it to egl, osmesa or glfw, or leave it unset\n",
        ),
    ],
)
def test_errors_of_users_become_one_line(
    error: Exception, line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(entry, "_dispatch", fail_with(error))
    assert entry.main(["demo"]) == 2
    assert capsys.readouterr().err == line


def test_ctrl_c_ends_quietly_with_130(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(entry, "_dispatch", fail_with(KeyboardInterrupt()))
    assert entry.main(["demo"]) == 130
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    "error", [ValueError("a mistake"), ModuleNotFoundError("x", name="roman_moe.nowhere"), OSError(5, "x")]
)
def test_mistakes_of_ours_keep_their_traceback(error: Exception, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(entry, "_dispatch", fail_with(error))
    with pytest.raises(type(error)):
        entry.main(["demo"])


def test_traceback_variable_lets_every_error_through(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(entry.TRACEBACK_VARIABLE, "1")
    monkeypatch.setattr(entry, "_dispatch", fail_with(BundleError("x")))
    with pytest.raises(BundleError):
        entry.main(["demo"])


@pytest.mark.parametrize("module", [*EXTRAS, *ROS_MODULES])
def test_missing_package_is_named_with_the_extra_that_brings_it(module: str):
    line = reason(ModuleNotFoundError(f"No module named {module!r}", name=module))
    assert line is not None
    assert module in line
    assert f".[{EXTRAS.get(module, 'ros')}]" in line


@pytest.mark.parametrize("module", REQUIRED)
def test_missing_requirement_is_named(module: str):
    line = reason(ModuleNotFoundError(f"No module named {module!r}", name=module))
    assert line is not None
    assert line.startswith(f"{module} is not installed: run pip install . ")


def test_missing_system_library_is_named():
    line = reason(ImportError("libEGL.so.1: cannot open shared object file: No such file or directory"))
    assert line is not None
    assert "libEGL.so.1 is missing" in line


def test_missing_simulator_is_refused_by_a_real_verb(tmp_path: Path):
    (tmp_path / "mujoco.py").write_text("raise ModuleNotFoundError(\"No module named 'mujoco'\", name='mujoco')\n")
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))  # a sourced ROS lives there
    done = run("bench", "sim", env={**os.environ, "PYTHONPATH": path})
    assert done.returncode == 2
    assert "mujoco is not installed" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("arguments", (["--help"], ["tasks", "list"]))
def test_a_reader_that_has_gone_ends_a_command_without_a_traceback(arguments: list[str]):
    """As `roman-moe --help | head` does once `head` has what it wants."""
    reads, writes = os.pipe()
    os.close(reads)
    with os.fdopen(writes, "wb") as unread:
        command = [sys.executable, "-m", "roman_moe", *arguments]
        done = subprocess.run(command, stdout=unread, stderr=subprocess.PIPE, check=False, cwd=ROOT)
    assert (done.returncode, done.stderr) == (entry.EXIT_UNREAD, b"")
