"""Recipes of behaviour cloning: every number of the training, from YAML. An unknown key is an error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypeVar

from roman_moe.control.rates import Rates
from roman_moe.core.config import build, merged, read_yaml
from roman_moe.core.errors import ConfigError
from roman_moe.core.ranges import SHARE, Range, check_ranges
from roman_moe.core.spec import GATE, TaskSpec

T = TypeVar("T")

COUNT = Range(1, 1_000_000)
STEPS = Range(1, 10_000_000_000)
BATCH = Range(1, 1 << 20)
LAYER = Range(1, 4096)
RATE = Range(0, 1, above=True)
STRENGTH = Range(0, 1000)
GATES = ("softmax", "top_k")
RENAMED = {"practice": "reinforcement"}
"""Present keys of a network's recipe by former ones, which the present version alone understands in a file."""


@dataclass(frozen=True, slots=True)
class GateRecipe:
    """Conversion of the gate's outputs to weights; experts ignore it.

    Attributes:
        kind: "softmax", as ROMAN's, or "top_k", the sparse gate of Shazeer et al. 2017.
        k: number of experts with a weight in a sparse gate.
        importance: in a sparse gate, weight of the loss that balances the experts' total weights.
        load: weight of the loss that balances how often each expert is selected.
    """

    kind: str = "softmax"
    k: Annotated[int, Range(2, LAYER.most)] = 2
    importance: Annotated[float, STRENGTH] = 0.1
    load: Annotated[float, STRENGTH] = 0.1

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.kind not in GATES:
            raise ValueError(f"kind is {self.kind!r}: expected {' or '.join(GATES)}")

    def chosen_of(self, network: str) -> int:
        """Experts that a network gives a weight: k for a sparse gate, else 0."""
        return self.k if network == GATE and self.kind == "top_k" else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FitRecipe:
    """Fit of weights to demonstrations, for any network.

    Attributes:
        batch_size: samples per step, drawn with replacement.
        learning_rate: peak learning rate of AdamW; it rises linearly over the first 2 % of the steps, then falls to 0
            as a cosine.
        ema_decay: decay of the averaged weights, which are the result.
        noise_bound: level L of the noise that each sample's object positions get anew each time it is drawn: clipped to
            +-L, sigma = L / 3 [m]. It comes on top of noise in the demonstrations.
        gripper_weight: weight of the gripper's loss relative to the velocity's.
        validation_share: share of the episodes held out from training, to report the error on them.
    """

    steps: Annotated[int, STEPS] = 4000
    batch_size: Annotated[int, BATCH] = 128
    learning_rate: Annotated[float, RATE] = 3e-3
    weight_decay: Annotated[float, SHARE] = 1e-4
    ema_decay: Annotated[float, Range(0, 1, below=True)] = 0.995
    noise_bound: Annotated[float, SHARE] = 0.005
    gripper_weight: Annotated[float, STRENGTH] = 0.1
    validation_share: Annotated[float, Range(0, 1, below=True)] = 0.1

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkRecipe(FitRecipe):
    """Cloning of one network: its sizes, and the fit of its weights.

    Attributes:
        hidden: sizes of the hidden layers.
        near_scales: scales of the squashed relative positions [m].
        gate: for the gate, the conversion to weights.
    """

    hidden: Annotated[tuple[int, ...], LAYER] = (256, 256, 256)
    near_scales: Annotated[tuple[float, ...], Range(0, 10, above=True)] = (0.05, 0.01)
    gate: GateRecipe = field(default_factory=GateRecipe)


@dataclass(frozen=True, slots=True)
class Recipe:
    """Cloning of all networks of a bundle.

    Attributes:
        rates: rates of gate and experts; demonstrations must have the control rate.
    """

    rates: Rates
    networks: Mapping[str, NetworkRecipe]


@dataclass(frozen=True, slots=True)
class _File:
    """Layout of the YAML file: what all networks share, and where single ones differ."""

    rates: Rates
    defaults: dict[str, Any]
    networks: Mapping[str, dict[str, Any]] = field(default_factory=dict)


def load_recipe(path: Path, spec: TaskSpec) -> Recipe:
    """Recipe for a task's networks from a YAML file.

    Raises:
        ConfigError: naming the file and the key that is unknown, missing or of the wrong type or range.
    """
    recipe = Recipe(*load_networks(path, spec.networks, NetworkRecipe))
    check_gate(recipe.networks[GATE].gate, spec, path)
    return recipe


def check_gate(gate: GateRecipe, spec: TaskSpec, path: Path) -> None:
    """Raises a ConfigError if a sparse gate is to choose more experts than there are."""
    if gate.chosen_of(GATE) > len(spec.skills):
        raise ConfigError(f"{path}: networks.gate: gate: k is {gate.k}: expected 2 to {len(spec.skills)}, the skills")


def load_networks(path: Path, names: Sequence[str], kind: type[T]) -> tuple[Rates, dict[str, T]]:
    """Rates and the recipe of every named network, a dataclass `kind`, from a YAML file. Raises as `load_recipe`.

    A file with the key `base`, the name of another one beside it, says only what differs from that one.
    """
    content = _read(path)
    if "base" in content:
        base = path.parent / str(content.pop("base"))
        whole = _read(base)
        build(_File, whole, str(base), ConfigError)  # names the base's file, if something is wrong there
        content = merged(whole, content)
    file = build(_File, content, str(path), ConfigError)
    return file.rates, networks_of(names, file.defaults, file.networks, kind, str(path))


def _read(path: Path) -> dict[str, Any]:
    content = read_yaml(path, ConfigError)
    if isinstance(defaults := content.get("defaults"), Mapping):
        content["defaults"] = present_keys(defaults)
    if isinstance(networks := content.get("networks"), Mapping):
        content["networks"] = {name: present_keys(recipe) for name, recipe in networks.items()}
    return content


def present_keys(recipe: Any) -> Any:
    """A network's recipe with present keys in place of former ones, which bundles and runs of earlier versions have."""
    return {RENAMED.get(key, key): value for key, value in recipe.items()} if isinstance(recipe, Mapping) else recipe


def networks_of(
    names: Sequence[str],
    defaults: Mapping[str, Any],
    networks: Mapping[str, Mapping[str, Any]],
    kind: type[T],
    where: str,
) -> dict[str, T]:
    """The recipe of every named network from what all share and where single ones differ. Raises as `load_recipe`."""
    build(kind, defaults, where, ConfigError, "defaults")  # names them, if something is wrong there
    for name in networks:
        if name not in names:
            raise ConfigError(f"{where}: networks: unknown network {name!r}: expected {', '.join(names)}")
    return {
        name: build(kind, merged(defaults, networks.get(name, {})), where, ConfigError, f"networks.{name}")
        for name in names
    }
