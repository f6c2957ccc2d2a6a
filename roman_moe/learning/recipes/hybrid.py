"""Recipes of hybrid learning: every number of the training, from YAML. An unknown key is an error."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from roman_moe.control.manifest import Manifest
from roman_moe.control.rates import Rates
from roman_moe.core.errors import ConfigError
from roman_moe.core.ranges import SHARE, Range, check_ranges
from roman_moe.core.spec import GATE, TaskSpec
from roman_moe.learning.recipes.cloning import (
    BATCH,
    COUNT,
    LAYER,
    RATE,
    STEPS,
    STRENGTH,
    NetworkRecipe,
    check_gate,
    load_networks,
    networks_of,
    present_keys,
)
from roman_moe.sim.channel import ChannelQuality
from roman_moe.sim.pose_source import TruthPoses

SCHEDULES = ("together", "gail_after_cloning")
PENALTIES = ("logit", "probability")
MOST_SCENARIOS = 1000
TIME_LIMIT = Range(0, 3600, above=True)  # [s]
MOST_SAMPLES = 1 << 22  # largest rollout of all environments: about a gigabyte of observations


@dataclass(frozen=True, slots=True)
class PPORecipe:
    """Proximal policy optimisation (Schulman et al. 2017), by Stable-Baselines3.

    Attributes:
        steps: environment steps, that is control ticks, over all environments; 0 keeps the cloned policy unchanged.
        rollout: decisions per environment and update.
        batch_size, epochs: of an update; batches must divide the rollout of all environments evenly.
        learning_rate: of Adam; falls linearly to 0 over the steps if `decay` is true, and so does the clip range, to
            half of it.
        clip: range of the probability ratio.
        gamma, gae_lambda: discount per decision, and lambda of the generalised advantage.
        entropy, value: coefficients of their terms in the loss.
        max_gradient: largest norm of a step's gradient.
        target_kl: an update's epochs end when the policy has changed by 1.5 times this KL divergence; 0 for no limit.
        log_std: initial logarithm of the standard deviation of exploration.
        critic_updates: number of first updates that train only the critic: a random critic would undo the cloning.
        decay: whether learning rate and clip range fall.
    """

    steps: Annotated[int, Range(0, STEPS.most)] = 100_000
    environments: Annotated[int, Range(1, 1024)] = 16
    rollout: Annotated[int, BATCH] = 256
    batch_size: Annotated[int, Range(2, BATCH.most)] = 1024  # advantages are normalised over a batch
    epochs: Annotated[int, Range(1, 1000)] = 4
    learning_rate: Annotated[float, RATE] = 1e-4
    clip: Annotated[float, RATE] = 0.1
    gamma: Annotated[float, SHARE] = 0.99
    gae_lambda: Annotated[float, SHARE] = 0.95
    entropy: Annotated[float, STRENGTH] = 0.0
    value: Annotated[float, Range(0, 1000, above=True)] = 0.5
    max_gradient: Annotated[float, Range(0, 1000, above=True)] = 0.5
    target_kl: Annotated[float, STRENGTH] = 0.02
    log_std: Annotated[float, Range(-20, 2)] = -1.5
    critic_updates: Annotated[int, Range(0, COUNT.most)] = 1
    decay: bool = True

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.samples > MOST_SAMPLES:
            raise ValueError(f"environments x rollout is {self.samples}: expected at most {MOST_SAMPLES}")
        if self.samples % self.batch_size:
            raise ValueError(
                f"batch_size is {self.batch_size}: expected a divisor of environments x rollout, {self.samples}"
            )

    @property
    def samples(self) -> int:
        """Decisions of all environments in one update."""
        return self.environments * self.rollout


@dataclass(frozen=True, slots=True)
class CloningRecipe:
    """The annealed cloning term inside PPO: after each update some epochs over the demonstrations, as ml-agents does.

    Attributes:
        strength: 0 for none; scales the learning rate.
        learning_rate: of its own Adam at strength 1.
        steps: environment steps over which it falls linearly to 0.
        epochs: over the demonstrations after each update.
    """

    strength: Annotated[float, STRENGTH] = 0.5
    learning_rate: Annotated[float, RATE] = 3e-4
    steps: Annotated[int, STEPS] = 80_000
    epochs: Annotated[float, Range(0, 1000)] = 1.0
    batch_size: Annotated[int, BATCH] = 256

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True, slots=True)
class GailRecipe:
    """GAIL, the leading reward r_I = -log(1 - D(s)).

    Attributes:
        strength: w_I; 0 for none.
        hidden: sizes of the discriminator's hidden layers.
        gradient_penalty: weight of the gradient penalty.
        penalty_of: the function whose slope is kept near 1: D's "logit", or its "probability" as in ROMAN's trainer.
        batch_size: samples of each side per step.
        epochs: epochs over a rollout after each update.
        use_actions: whether D also observes the action; ROMAN's observes only states.
    """

    strength: Annotated[float, STRENGTH] = 1.0
    hidden: Annotated[tuple[int, ...], LAYER] = (128, 128)
    learning_rate: Annotated[float, RATE] = 3e-4
    gradient_penalty: Annotated[float, STRENGTH] = 10.0
    penalty_of: str = "logit"
    batch_size: Annotated[int, BATCH] = 512
    epochs: Annotated[float, Range(0, 1000)] = 1.0
    use_actions: bool = False

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.penalty_of not in PENALTIES:
            raise ValueError(f"penalty_of is {self.penalty_of!r}: expected {' or '.join(PENALTIES)}")


@dataclass(frozen=True, slots=True)
class RewardRecipe:
    """The extrinsic reward r_E, and the scale of the sum.

    Attributes:
        strength: w_E; 0 for none.
        success: r_E of a solved episode (ROMAN: 1000).
        progress: r_E of the whole progress to success, as differences of potentials; 0 for a sparse r_E.
        scale: factor of the weighted sum, for returns in the critic's range; it changes nothing else.
    """

    strength: Annotated[float, STRENGTH] = 0.1
    success: Annotated[float, Range(0, 1_000_000)] = 1000.0
    progress: Annotated[float, Range(0, 1_000_000)] = 200.0
    scale: Annotated[float, Range(0, 1000, above=True)] = 0.01

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True, slots=True)
class EpisodesRecipe:
    """Noise, disturbances, channel and time limit of episodes.

    Attributes:
        noise_bounds: levels L of the noise on object positions [m].
        disturbed_share: share of the episodes with a disturbance.
        handed_over_share: share of the episodes that begin where the previous skill leaves the hand, not near home.
        delays: delays of commands [control ticks].
        lost_shares: shares of lost commands.
        time_limit: time after which an episode ends as failed [s].
    """

    noise_bounds: Annotated[tuple[float, ...], Range(0, 1)] = (0.005,)
    disturbed_share: Annotated[float, SHARE] = 0.0
    handed_over_share: Annotated[float, SHARE] = 0.0
    delays: Annotated[tuple[int, ...], Range(0, 100)] = (0,)
    lost_shares: Annotated[tuple[float, ...], SHARE] = (0.0,)
    time_limit: Annotated[float, TIME_LIMIT] = 30.0

    def __post_init__(self) -> None:
        check_ranges(self)
        for name in ("noise_bounds", "delays", "lost_shares"):
            if not getattr(self, name):
                raise ValueError(f"{name} is []: expected one number or more")

    @property
    def poses(self) -> list[TruthPoses]:
        """A pose source a noise bound."""
        return [TruthPoses(bound) for bound in self.noise_bounds]

    @property
    def channels(self) -> list[ChannelQuality]:
        """Every delay with every lost share."""
        return [ChannelQuality(delay, share) for share, delay in itertools.product(self.lost_shares, self.delays)]


@dataclass(frozen=True, slots=True)
class ReinforcementRecipe(EpisodesRecipe):
    """The episodes to learn from; noise and channel are drawn for each of them.

    Attributes:
        scenarios: scenarios from which the gate's episodes start, in turn; all of the task's if empty.
    """

    scenarios: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        EpisodesRecipe.__post_init__(self)  # super() does not find its class among dataclasses with slots
        if not all(0 <= number < MOST_SCENARIOS for number in self.scenarios):
            raise ValueError(f"scenarios is {list(self.scenarios)}: expected numbers, 0 to {MOST_SCENARIOS - 1}")


@dataclass(frozen=True, slots=True)
class ValidationRecipe(EpisodesRecipe):
    """Validation of checkpoints by solved episodes, not by their loss. Noises and channels are used in turn.

    Attributes:
        updates: number of updates between checkpoints.
        episodes: deterministic ones, the same for every checkpoint; for the gate spread over the scenarios.
        enough: number of consecutive checkpoints that solve all episodes, after which training ends early; 0 for never.
    """

    time_limit: Annotated[float, TIME_LIMIT] = 80.0
    updates: Annotated[int, COUNT] = 5
    episodes: Annotated[int, COUNT] = 100
    enough: Annotated[int, Range(0, COUNT.most)] = 0

    @property
    def combinations(self) -> list[tuple[TruthPoses, ChannelQuality]]:
        """Every noise over every channel; a start's episodes meet them in turn."""
        return [(poses, channel) for channel in self.channels for poses in self.poses]


@dataclass(frozen=True, slots=True)
class HybridNetworkRecipe:
    """Training of one network.

    Attributes:
        demonstrations: number of demonstrations for a skill, or for each scenario of the gate.
        warm_start: whether the policy is cloned first.
        schedule: when GAIL begins. At the start, beside the annealed cloning, as in ROMAN's public configuration
            ("together"). Or once the cloning term has come down to 0, as in its paper's figure ("gail_after_cloning").
        clone: the network, and how it is cloned as a warm start.
        ppo, cloning, gail, reward, reinforcement, validation: the reinforcement learning after it.
    """

    demonstrations: Annotated[int, COUNT] = 20
    warm_start: bool = True
    schedule: str = "together"
    clone: NetworkRecipe = field(default_factory=NetworkRecipe)
    ppo: PPORecipe = field(default_factory=PPORecipe)
    cloning: CloningRecipe = field(default_factory=CloningRecipe)
    gail: GailRecipe = field(default_factory=GailRecipe)
    reward: RewardRecipe = field(default_factory=RewardRecipe)
    reinforcement: ReinforcementRecipe = field(default_factory=ReinforcementRecipe)
    validation: ValidationRecipe = field(default_factory=ValidationRecipe)

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.schedule not in SCHEDULES:
            raise ValueError(f"schedule is {self.schedule!r}: expected {' or '.join(SCHEDULES)}")
        waits = self.schedule == "gail_after_cloning" and self.gail.strength and self.cloning.strength
        if waits and 0 < self.ppo.steps <= self.cloning.steps:
            raise ValueError(
                f"schedule is {self.schedule!r}, but cloning.steps ({self.cloning.steps}) do not end before ppo.steps "
                f"({self.ppo.steps}): GAIL would never begin"
            )
        shown = self.gail.epochs * self.ppo.samples
        if self.ppo.steps and self.gail.strength and self.gail.epochs and not round(shown / self.gail.batch_size):
            raise ValueError(
                f"gail.batch_size is {self.gail.batch_size}: expected at most {shown:g}, gail.epochs x "
                "ppo.environments x ppo.rollout: its discriminator would never be trained"
            )


@dataclass(frozen=True, slots=True)
class HybridRecipe:
    """Training of all networks of a bundle.

    Attributes:
        rates: rates of gate and experts; demonstrations must have the control rate.
    """

    rates: Rates
    networks: Mapping[str, HybridNetworkRecipe]

    def with_budget(self, share: float) -> HybridRecipe:
        """The same with a share of all environment steps, and of those over which cloning is annealed.

        Raises:
            ConfigError: if too few are left for the recipe.
        """
        plain = self.to_dict()["networks"]
        for network in plain.values():
            network["ppo"]["steps"] = round(share * network["ppo"]["steps"])
            network["cloning"]["steps"] = max(1, round(share * network["cloning"]["steps"]))
        return recipe_of(tuple(self.networks), self.rates, {}, plain, f"--budget {share:g}")

    def to_dict(self) -> dict[str, Any]:
        """As plain YAML types, in the layout of a recipe file, every number spelled out."""
        networks = {name: _plain(dataclasses.asdict(network)) for name, network in self.networks.items()}
        return {"rates": dataclasses.asdict(self.rates), "defaults": {}, "networks": networks}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(entry) for key, entry in value.items()}
    return [_plain(entry) for entry in value] if isinstance(value, tuple) else value


def load_hybrid_recipe(path: Path, spec: TaskSpec) -> HybridRecipe:
    """Recipe for a task's networks from a YAML file.

    Raises:
        ConfigError: naming the file and the key that is unknown, missing or of the wrong type or range.
    """
    recipe = HybridRecipe(*load_networks(path, spec.networks, HybridNetworkRecipe))
    check_gate(recipe.networks[GATE].clone.gate, spec, path)
    for name, network in recipe.networks.items():
        unknown = [number for number in network.reinforcement.scenarios if number >= len(spec.scenarios)]
        if unknown:
            last = len(spec.scenarios) - 1
            raise ConfigError(
                f"{path}: networks.{name}: reinforcement.scenarios has {unknown[0]}: expected 0 to {last}"
            )
    return recipe


def bundles_recipe(manifest: Manifest, usual: HybridRecipe) -> HybridRecipe:
    """The recipe by which a bundle's networks were trained, as its provenance says; `usual` for those it does not.

    Raises:
        ConfigError: if it is none that this version reads.
    """
    said = {name: entry.get("recipe", {}) for name, entry in manifest.provenance.get("networks", {}).items()}
    plain = usual.to_dict()["networks"] | {
        name: present_keys(recipe) for name, recipe in said.items() if "ppo" in recipe
    }
    return recipe_of(tuple(usual.networks), manifest.rates, {}, plain, "the bundle's provenance")


def recipe_of(
    names: Sequence[str],
    rates: Rates,
    defaults: Mapping[str, Any],
    networks: Mapping[str, Mapping[str, Any]],
    where: str,
) -> HybridRecipe:
    """Recipe of the named networks from what all networks share and where single ones differ.

    Raises:
        ConfigError: naming `where` and the key that is wrong.
    """
    return HybridRecipe(rates, networks_of(names, defaults, networks, HybridNetworkRecipe, where))
