"""Description of a network, stored in its ONNX file's metadata properties.

These metadata determine how a network is used: features in order, units, outputs in order, rate. Metadata that differ
from the task are refused: no file runs with another layout than that of its training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from roman_moe.core.errors import BundleError
from roman_moe.core.features import feature_layout
from roman_moe.core.spec import GATE, TaskSpec
from roman_moe.core.spec_parts import ActionSpec

NETWORK_FORMAT = 2

MAX_PROPERTY = 10_000
"""Letters of a metadata property: what one says ends up in messages."""


@dataclass(frozen=True, slots=True)
class NetworkMetadata:
    """Metadata of one network.

    Attributes:
        task: name of the task that it is for.
        name: skill of an expert, or "gate".
        features: observed features in order.
        outputs: names of the outputs in order: the action layout of an expert, the skills of a gate.
        rate: at which it was trained to run [Hz].
        top_speed: hand speed of an action of 1 that an expert was trained with [m/s]; 0 for a gate.
        top_angular_speed: likewise of its angular actions [rad/s]; 0 for one that has none.
        skills: that share the network, in the order of the one-hot code which is its second input; none for others.
        observed: features that each of them uses; all, if it is empty. Other features may have any value, NaN included.
    """

    task: str
    name: str
    features: tuple[str, ...]
    units: tuple[str, ...]
    outputs: tuple[str, ...]
    rate: float
    top_speed: float = 0.0
    top_angular_speed: float = 0.0
    skills: tuple[str, ...] = ()
    observed: tuple[tuple[str, ...], ...] = ()

    @property
    def own(self) -> tuple[str, ...]:
        """Features that its answers depend on."""
        return self.observed[self.skills.index(self.name)] if self.observed else self.features

    @classmethod
    def of_expert(
        cls, spec: TaskSpec, skill: str, rate: float, features: Sequence[str] = (), top_speed: float = 0.0
    ) -> NetworkMetadata:
        """Metadata of a task's expert.

        Args:
            features: what it observes; what the task says, if none.
            top_speed: of its actions [m/s]; the task's, if 0.
        """
        features, units = _observed(spec, skill, features)
        top_speed, top_angular_speed = top_speed or spec.action.top_speed, _angular(spec.action)
        return cls(spec.name, skill, features, units, spec.action.layout, rate, top_speed, top_angular_speed)

    @classmethod
    def of_gate(
        cls, spec: TaskSpec, rate: float, features: Sequence[str] = (), skills: tuple[str, ...] = ()
    ) -> NetworkMetadata:
        """Metadata of a task's gate over `skills`; over all, if none."""
        features, units = _observed(spec, GATE, features)
        return cls(spec.name, GATE, features, units, skills or spec.skill_names, rate)

    def to_properties(self) -> dict[str, str]:
        """As ONNX metadata properties."""
        return {
            "format_version": str(NETWORK_FORMAT),
            "task": self.task,
            "skill": self.name,
            "features": ",".join(self.features),
            "units": ",".join(self.units),
            "outputs": ",".join(self.outputs),
            "rate_hz": repr(self.rate),
            "top_speed": repr(self.top_speed),
            "top_angular_speed": repr(self.top_angular_speed),
            **({"skills": ",".join(self.skills)} if self.skills else {}),
            **({"observed": ";".join(map(",".join, self.observed))} if self.observed else {}),
        }

    @classmethod
    def from_properties(cls, spec: TaskSpec, properties: Mapping[str, str], where: str) -> NetworkMetadata:
        """From ONNX metadata properties.

        Raises:
            BundleError: naming `where` and the property that is missing, malformed, or not what the task offers.
        """

        def text(key: str) -> str:
            if key not in properties:
                raise BundleError(f"{where}: metadata property {key!r} is missing: export the network again")
            value = properties[key]
            if len(value) > MAX_PROPERTY or not value.isprintable():
                raise BundleError(f"{where}: metadata property {key!r} is not one line of plain text")
            return value

        def names(key: str) -> tuple[str, ...]:
            return tuple(text(key).split(","))

        def number(key: str) -> float:
            try:
                return float(text(key))
            except ValueError:
                raise BundleError(f"{where}: metadata property {key!r} is {text(key)!r}: expected a number") from None

        if text("format_version") != str(NETWORK_FORMAT):
            raise BundleError(
                f"{where}: network format version {text('format_version')}: this program reads {NETWORK_FORMAT}"
            )
        found = cls(
            text("task"),
            text("skill"),
            names("features"),
            names("units"),
            names("outputs"),
            number("rate_hz"),
            number("top_speed"),
            number("top_angular_speed"),
            names("skills") if "skills" in properties else (),
            tuple(tuple(own.split(",")) for own in text("observed").split(";")) if "observed" in properties else (),
        )
        found._check_offered(spec, where)
        return found

    def _check_offered(self, spec: TaskSpec, where: str) -> None:
        if self.skills and (self.name not in self.skills or len(set(self.skills)) != len(self.skills)):
            raise BundleError(f"{where}: is shared by {', '.join(self.skills)}: expected {self.name} among them, once")
        if self.observed and len(self.observed) != len(self.skills):
            raise BundleError(
                f"{where}: lists observations of {len(self.observed)} skills: {len(self.skills)} share it"
            )
        for name in sum(self.observed, ()):
            if name not in self.features:
                raise BundleError(f"{where}: a skill observes {name!r}, which is none of its features")
        if self.task != spec.name:
            raise BundleError(f"{where}: is for task {self.task!r}: this one is {spec.name!r}")
        layout = feature_layout(spec)
        for name in self.features:
            if name not in layout.index:
                raise BundleError(f"{where}: observes feature {name!r}, which task {spec.name!r} does not offer")
        if len(set(self.features)) != len(self.features):
            raise BundleError(f"{where}: observes a feature twice: {', '.join(self.features)}")
        offered = tuple(layout.units[name] for name in self.features)
        if len(self.units) != len(offered):
            raise BundleError(f"{where}: names {len(self.units)} units for {len(offered)} features")
        for name, unit, expected in zip(self.features, self.units, offered, strict=True):
            if unit != expected:
                raise BundleError(f"{where}: was trained on {name} in {unit!r}: task {spec.name!r} offers {expected!r}")


def _observed(spec: TaskSpec, network: str, features: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Features and their units; what the task says that a network observes, if none are given."""
    layout = feature_layout(spec)
    observed = tuple(features) or layout.observations[network]
    return observed, tuple(layout.units[name] for name in observed)


def _angular(action: ActionSpec) -> float:
    return action.top_angular_speed if action.angular else 0.0
