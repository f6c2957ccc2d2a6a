"""What a network says about itself, written into its ONNX file's metadata properties.

A network is only ever fed and read by its own words: features in order, units, outputs in order, rate. Anything there
that differs from what this program offers is refused, so no file ever runs on another layout than it was trained on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from roman_moe.core.action import ACTION_LAYOUT
from roman_moe.core.errors import BundleError
from roman_moe.core.features import FEATURE_INDEX, FORCE_SCALE, HOME_POSITION
from roman_moe.core.skills import GATE, SKILLS
from roman_moe.core.state import FLAGS

NETWORK_FORMAT = 1

MAX_PROPERTY = 10_000
"""Letters of a metadata property: what one says ends up in messages."""


def feature_unit(name: str) -> str:
    """Unit of a feature as metadata spell it; scales and origins are part of it, since a network depends on them."""
    if name.startswith("finger_force."):
        return f"{FORCE_SCALE:g}N"
    if name.startswith("hand_velocity."):
        return "m/s"
    if name == "home_distance":
        return "m from ({:g} {:g} {:g})".format(*HOME_POSITION)
    return "1" if name in FLAGS else "m"


@dataclass(frozen=True, slots=True)
class NetworkMetadata:
    """Metadata of one network.

    Attributes:
        name: skill of an expert, or "gate".
        features: observed features in order.
        units: their units in order.
        outputs: names of the outputs in order: the action layout of an expert, the skills of a gate.
        rate: at which it was trained to run [Hz].
        top_speed: hand speed of an action of 1 that an expert was trained with [m/s]; 0 for a gate.
    """

    name: str
    features: tuple[str, ...]
    units: tuple[str, ...]
    outputs: tuple[str, ...]
    rate: float
    top_speed: float = 0.0

    @classmethod
    def of_expert(cls, skill: str, features: tuple[str, ...], rate: float, top_speed: float) -> NetworkMetadata:
        """Metadata of an expert of this program's action layout."""
        return cls(skill, features, tuple(map(feature_unit, features)), ACTION_LAYOUT, rate, top_speed)

    @classmethod
    def of_gate(cls, features: tuple[str, ...], rate: float, skills: tuple[str, ...] = SKILLS) -> NetworkMetadata:
        """Metadata of a gate over `skills`."""
        return cls(GATE, features, tuple(map(feature_unit, features)), skills, rate)

    def to_properties(self) -> dict[str, str]:
        """As ONNX metadata properties."""
        return {
            "format_version": str(NETWORK_FORMAT),
            "skill": self.name,
            "features": ",".join(self.features),
            "units": ",".join(self.units),
            "outputs": ",".join(self.outputs),
            "rate_hz": repr(self.rate),
            "top_speed": repr(self.top_speed),
        }

    @classmethod
    def from_properties(cls, properties: Mapping[str, str], where: str) -> NetworkMetadata:
        """From ONNX metadata properties.

        Raises:
            BundleError: naming `where` and the property that is missing, malformed, or not what this program offers.
        """

        def text(key: str) -> str:
            if key not in properties:
                raise BundleError(f"{where}: metadata property {key!r} is missing: export the network again")
            value = properties[key]
            if len(value) > MAX_PROPERTY or not value.isprintable():
                raise BundleError(f"{where}: metadata property {key!r} is no line of plain text")
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
            text("skill"), names("features"), names("units"), names("outputs"), number("rate_hz"), number("top_speed")
        )
        found._check_offered(where)
        return found

    def _check_offered(self, where: str) -> None:
        for name in self.features:
            if name not in FEATURE_INDEX:
                raise BundleError(f"{where}: observes feature {name!r}, which this program does not offer")
        if len(set(self.features)) != len(self.features):
            raise BundleError(f"{where}: observes a feature twice: {', '.join(self.features)}")
        offered = tuple(map(feature_unit, self.features))
        if len(self.units) != len(offered):
            raise BundleError(f"{where}: names {len(self.units)} units for {len(offered)} features")
        for name, unit, expected in zip(self.features, self.units, offered, strict=True):
            if unit != expected:
                raise BundleError(f"{where}: was trained on {name} in {unit!r}: this program offers {expected!r}")
