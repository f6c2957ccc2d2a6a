"""`roman-moe swap`: replaces a network of a running graph without a pause."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro
from rich.console import Console

from roman_moe.cli.graph_options import GraphOptions
from roman_moe.cli.options import SILENT, Flag, OptionalFolder, say
from roman_moe.core.errors import ConfigError, RomanError
from roman_moe.core.paths import find_shipped
from roman_moe.core.spec import GATE

if TYPE_CHECKING:
    from roman_moe.control.identity import Identity
    from roman_moe.control.manifest import Manifest
    from roman_moe.nodes.bringup.graph_client import GraphClient

MODEL = tyro.conf.arg(metavar="[MODEL]", help_behavior_hint=SILENT)


@dataclass(frozen=True)
class Swap(GraphOptions):
    """Replace a network of the running graph, or take an expert out."""

    needs = ("rclpy",)

    network: Annotated[tyro.conf.Positional[str], tyro.conf.arg(help_behavior_hint=SILENT)] = ""
    """The network: a skill of the running bundle for its expert, or gate."""

    model: Annotated[tyro.conf.Positional[Path | None], MODEL] = None
    """File (.onnx) of the new network."""

    bundle: OptionalFolder = None
    """Replace all networks by those of this bundle."""

    take_out: Flag = False
    """Take the expert out: the others get its weight, or the arm is halted while it would lead."""

    put_back: Flag = False
    """Put the expert back."""

    def main(self) -> int:
        """0 when all has changed over; nothing has if it is refused."""
        requests = [self.bundle is not None, self.model is not None, self.take_out, self.put_back]
        if sum(requests) != 1 or (self.bundle is None) != bool(self.network):
            raise ConfigError("expected NETWORK MODEL, --bundle BUNDLE, or NETWORK with --take-out or --put-back")
        from roman_moe.nodes.bringup.graph_client import graph_client

        console = Console()
        with graph_client(self.ros_arguments) as client:
            running = running_manifest(client)
            networks = running.skills if self.take_out or self.put_back else (*running.skills, GATE)
            if self.network and self.network not in networks:
                raise ConfigError(f"unknown network {self.network!r}: expected one of {', '.join(networks)}")
            if self.bundle is not None:
                said = self._swap_bundle(client, self.bundle, running)
            elif self.model is not None:
                said = self._swap_model(client, self.model)
            else:
                said = self._set_taken_out(client, running.skills)
        say(console, said)
        return 0

    def _swap_model(self, client: GraphClient, model: Path) -> str:
        from roman_moe.control.identity import identify
        from roman_moe.nodes.bringup.graph_client import node_of

        file = find_shipped(model).resolve()
        client.set(node_of(self.network), "model", str(file))
        return f"{self.network} runs {identify(file) if file.exists() else file}"

    def _swap_bundle(self, client: GraphClient, bundle: Path, running: Manifest) -> str:
        """All networks or none: what has changed over changes back if a later one is refused."""
        from roman_moe.control.bundle import load_bundle
        from roman_moe.control.identity import identify
        from roman_moe.nodes.bringup.graph_client import Refusal, node_of

        folder = find_shipped(bundle).resolve()
        loaded = load_bundle(folder)  # says what is wrong with it before anything changes
        if loaded.spec != running.task:
            found, expected = (f"{task.name}, sha256 {task.digest[:12]}..." for task in (loaded.spec, running.task))
            raise RomanError(f"{bundle}: is for task {found}: the graph that runs has {expected}")
        for what in ("skills", "rates"):
            found, expected = getattr(loaded.manifest, what), getattr(running, what)
            if found != expected:
                raise RomanError(f"{bundle}: {what} {found}: the graph that runs has {expected}")
        files = {network: entry.file for network, entry in loaded.manifest.networks.items()}
        before = {network: str(client.get(node_of(network), "model")) for network in files}
        asked: list[str] = []  # one that does not answer may still change over
        try:
            for network, file in files.items():
                asked.append(network)
                client.set(node_of(network), "model", str(folder / file))
        except (RomanError, KeyboardInterrupt) as error:
            if isinstance(error, Refusal):
                asked.pop()
            left = [network for network in asked if not _set_back(client, node_of(network), before[network])]
            now = f"could not be set back: {', '.join(left)}" if left else "all networks are as they were"
            raise RomanError(f"{error or 'interrupted'}; {now}") from None
        return f"all {len(files)} networks run {identify(folder)}"

    def _set_taken_out(self, client: GraphClient, skills: Sequence[str]) -> str:
        from roman_moe.nodes.bringup.graph_client import BLENDER

        out = set(filter(None, client.get(BLENDER, "taken_out")))
        out = out | {self.network} if self.take_out else out - {self.network}
        # never empty: ROS gives an empty list no type
        client.set(BLENDER, "taken_out", [skill for skill in skills if skill in out] or [""])
        return f"taken out: {', '.join(sorted(out)) or 'none'}"


def running_manifest(client: GraphClient) -> Manifest:
    """Manifest of the bundle that a graph runs: it says which networks there are."""
    from roman_moe.control.manifest import load_manifest
    from roman_moe.nodes.bringup.graph_client import BLENDER

    return load_manifest(str(client.get(BLENDER, "bundle")))


def running_expert(client: GraphClient, skill: str) -> Identity:
    """The network that a skill's expert runs.

    Raises:
        RomanError: if no graph runs, or none that has this skill.
    """
    from roman_moe.control.identity import identify
    from roman_moe.nodes.bringup.graph_client import BLENDER, node_of

    model, bundle = client.get(node_of(skill), "model"), client.get(BLENDER, "bundle")
    return identify(model) if model else expert_of(bundle, skill)


def expert_of(bundle: str | Path, skill: str) -> Identity:
    """A skill's expert in a bundle. Raises as `load_manifest`."""
    from roman_moe.control.identity import identify
    from roman_moe.control.manifest import load_manifest

    return identify(find_shipped(bundle) / load_manifest(bundle).experts[skill].file)


def _set_back(client: GraphClient, node: str, model: str) -> bool:
    try:
        client.set(node, "model", model)
    except RomanError:
        return False
    return True
