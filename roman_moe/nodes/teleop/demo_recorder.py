"""Demo recorder: records an operator's demonstrations for one network through a running graph.

The operator drives through the blender, by `operator/action` or, to teach the gate, `operator/weights`. Episodes are
started, kept and discarded by services; a lab's judge ends them as well. If a policy runs, its answers are recorded,
too. With corrections the policy drives, and only the ticks in which the operator drives teach.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from numpy.typing import NDArray

from roman_moe.core.errors import DemonstrationError, RomanError
from roman_moe.core.outcome import Outcome
from roman_moe.core.spec import GATE
from roman_moe.core.state import begins_anew
from roman_moe.demos.recorder import LEAST_RATE, Recorder
from roman_moe.nodes.base import topics
from roman_moe.nodes.base.diagnostics import ERROR, OK, WAITING, WARN
from roman_moe.nodes.base.node import RomanNode
from roman_moe.nodes.base.parameters import TaskParameters, parameter
from roman_moe.nodes.control.observation import Observation, observations
from roman_moe.nodes.control.pending_answers import PendingAnswers
from roman_moe.wire.codec import decode_lab_tick, decode_tick, serialized_stamp
from roman_moe.wire.topics import COMPRESSED

KEPT, RECORDING = "kept_episodes", "recording"

Array = NDArray[np.float64]


@dataclass(frozen=True)
class DemoRecorderParameters(TaskParameters):
    """Parameters of the demo recorder."""

    teach: str = parameter("skill to teach, or gate; with corrections, the leading skill if empty", "")
    demos: str = parameter("folder of the demonstrations", "demos")
    source: str = parameter("source of the demonstrations, such as a device", "operator")
    policy: bool = parameter("whether a policy runs; its answers are then recorded, too", False)
    corrects: bool = parameter("whether the policy drives, and the operator corrects it", False)
    images: bool = parameter("whether to record the compressed images of the task's cameras", False)
    reliable: bool = parameter("whether to subscribe to images reliably, which not all cameras support", False)
    least_rate: float = parameter("share of the rate below which an episode is refused", LEAST_RATE, (0.0, 1.0))
    name: str = parameter("name of the episodes, for people", "")
    notes: str = parameter("notes on the episodes", "")
    operator: str = parameter("name of the operator", "")


class DemoRecorder(RomanNode):
    """Turns `scene`, the operator's answers, `blender/tick` and the policy's answers into episodes.

    Attributes:
        told: what became of episodes that no service has ended; whoever shows it takes it out.
    """

    NAME = "demo_recorder"
    PARAMETERS = DemoRecorderParameters
    _settings: DemoRecorderParameters
    _recorder: Recorder | None = None

    def __init__(self, name: str | None = None, **options: Any) -> None:
        super().__init__(name, **options)
        self.told: list[str] = []
        self.trigger_service("start", self.begin)
        self.trigger_service("stop", self.end)
        self.trigger_service("discard", self._discard)

    def configure(self) -> None:
        """Find the dataset, or begin it."""
        settings, self._spec, self._rates = self._settings, self._settings.spec(), self._settings.rates()
        self._recorder = Recorder(
            Path(settings.demos),
            self._spec,
            settings.teach,
            self._rates.control_rate,
            settings.source,
            policy=settings.policy,
            corrects=settings.corrects,
            least_rate=settings.least_rate,
            about={key: getattr(settings, key) for key in ("name", "notes", "operator")},
        )

    def clean_up(self) -> None:
        self._recorder = None

    def activate(self) -> None:
        spec, settings = self._spec, self._settings
        self._origin: dict[str, Any] = {}
        self._since = 0  # stamp with which the lab's episode began
        if settings.teach == GATE:
            self.listen_numbers(
                topics.deep(topics.OPERATOR_WEIGHTS), topics.weights_of(spec.skill_names), self._on_answer
            )
        else:
            self.listen_numbers(topics.deep(topics.OPERATOR_ACTION), topics.action_of(spec), self._on_answer)
        if settings.policy:
            self._pending, self._told = PendingAnswers(self._rates, spec.action.size, len(spec.skills)), True
            self.listen_numbers(topics.GATE_WEIGHTS, topics.weights_of(spec.skill_names), self._on_weights)
            for i, skill in enumerate(spec.skill_names):
                self.listen_numbers(
                    topics.deep(topics.expert_action(skill)), topics.action_of(spec), partial(self._on_action, i)
                )
        for name in spec.cameras if settings.images else ():
            topic = topics.camera(name, COMPRESSED, settings.reliable)
            self.listen(topics.deep(topic), partial(self._on_image, name), serialized=True)
        self.listen(topics.TICK, lambda tick: self._do(self._here.tick, tick), decode_tick)
        self.listen(topics.LAB_TICK, lambda tick: self._here.lab_tick(tick), decode_lab_tick)
        self.listen(topics.OUTCOME, self._on_outcome)
        self.listen(topics.deep(topics.SCENE), self._on_scene, observations(spec), serialized=True)
        self._tell()
        self.diagnostics.state(WARN, f"{WAITING}scene")

    def deactivate(self) -> None:
        """Drop the open episode: it is cut off."""
        if self.recording:
            self._here.discard()

    @property
    def kept(self) -> int:
        return self._recorder.kept if self._recorder else 0

    @property
    def fault(self) -> str:
        """Why nothing can be written; empty if it can."""
        return self._recorder.fault if self._recorder else ""

    @property
    def recording(self) -> bool:
        return self._recorder is not None and self._recorder.recording

    @property
    def ticks(self) -> int:
        """Of the open episode so far."""
        return self._recorder.ticks if self._recorder else 0

    def _on_scene(self, seen: Observation) -> None:
        recorder, stamp = self._here, seen.scene.stamp_ns
        if self._settings.policy:
            self._await_policy(stamp)
        self._do(recorder.scene, seen.scene)
        recording = f"recording {recorder.path}: {recorder.ticks} ticks"
        self.diagnostics.state(OK, recording if recorder.path else "ready to record")

    def _on_answer(self, stamped: tuple[int, Array]) -> None:
        self._do(self._here.answer, *stamped)

    def _on_image(self, name: str, data: bytes) -> None:
        self._do(self._here.image, name, serialized_stamp(data), data)

    def _await_policy(self, stamp: int) -> None:
        """A scene is there that the policy is to answer; whatever it has not answered before, it never will."""
        if not self._told:
            self._do(self._here.policy, self._pending.stamp, np.full(self._spec.action.size, np.nan))
        if stamp < self._pending.stamp or begins_anew(stamp, self._pending.stamp):
            self._pending.clear()
        self._told = stamp == self._pending.stamp
        self._pending.begin(stamp)
        self._tell_policy()

    def _on_weights(self, stamped: tuple[int, Array]) -> None:
        self._pending.add_weights(*stamped)
        self._tell_policy()

    def _on_action(self, expert: int, stamped: tuple[int, Array]) -> None:
        self._pending.add_action(stamped[0], expert, stamped[1])
        self._tell_policy()

    def _tell_policy(self) -> None:
        """Record the blend of the experts by the gate's weights, once all of it is there."""
        if self._told or self._pending.missing([True] * len(self._spec.skills)) != []:
            return
        weights = self._pending.present_weights()
        if weights is not None:
            self._told = True
            actions = np.where(weights[:, None] == 0.0, 0.0, self._pending.present_actions())
            self._do(self._here.policy, self._pending.stamp, weights @ actions)

    def _on_outcome(self, message: DiagnosticStatus) -> None:
        """The lab says that its episode begins, or how it ended."""
        values = {value.key: value.value for value in message.values}
        if message.message == Outcome.RUNNING.value:
            self._origin = {"start": message.name, "seed": int(values.get("seed", 0))}
            self._since = int(values.get("first_ns", 0))
            if self.recording:  # what was recorded was the end of the one before
                self._here.discard()
                self._do(self._here.start, self._since)
        elif self.recording and (message.message == Outcome.SUCCESS.value or self._settings.corrects):
            self._do(lambda: self.told.append(f"{message.message}: kept {self._keep(outcome=message.message)}"))
        elif self.recording:
            self.told.append(f"{message.message}: discarded {self._here.discard()}")
        self._tell()

    def _do(self, command: Callable[..., object], *arguments: Any) -> None:
        """Record something; what cannot be recorded is told."""
        try:
            command(*arguments)
        except DemonstrationError as error:
            self.told.append(str(error))
            self.diagnostics.count("refused_episodes", str(error))
            self.diagnostics.state(ERROR, str(error))
            self._tell()

    @property
    def _here(self) -> Recorder:
        if not self.active or self._recorder is None:
            raise RomanError(f"{self.get_name()} is not active: activate it first")
        return self._recorder

    def _keep(self, **origin: str) -> str:
        return self._here.stop(**self._origin, **origin)

    def begin(self) -> str:
        """Begin an episode; what is said of it. Raises as `Recorder.start`."""
        return self._telling(lambda: f"recording {self._here.start(self._since)}")

    def end(self) -> str:
        """Keep the open episode; what is said of it. Raises as `Recorder.stop`."""
        return self._telling(lambda: f"kept {self._keep()}")

    def _discard(self) -> str:
        """Discard the open episode."""
        return self._telling(lambda: f"discarded {self._here.discard()}")

    def _telling(self, command: Callable[[], str]) -> str:
        """Do something with an episode, and report how many were kept, and which is open."""
        try:
            return command()
        finally:
            self._tell()

    def _tell(self) -> None:
        if self._recorder is not None:
            self.diagnostics.fact({KEPT: str(self._recorder.kept), RECORDING: str(self._recorder.path or "")})
