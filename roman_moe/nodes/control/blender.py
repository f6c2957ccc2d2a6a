"""Blender: mixes the experts' actions with the gate's weights into one guarded command per scene.

A tick is complete when the weights of its gate tick and the answers of all experts with a weight have arrived. In
lockstep the blender waits for a complete tick; otherwise it blends the received answers at the deadline, or halts the
arm. It sends nothing before its first complete tick: an incomplete graph does not move an arm.

An operator may answer a scene in the policy's place, with an action or with weights (`control.operator`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.parameter import Parameter
from std_msgs.msg import Bool

from roman_moe.control.guard import Guard, GuardStatus
from roman_moe.control.guarded_blend import GuardedBlend
from roman_moe.control.limits import load_limits
from roman_moe.control.operator import Operator
from roman_moe.control.swap import ExpertMask
from roman_moe.core.action import ACTION_BOUND, Command
from roman_moe.core.errors import ConfigError
from roman_moe.core.state import begins_anew
from roman_moe.nodes.base import topics
from roman_moe.nodes.base.diagnostics import ERROR, OK, STATUS, STOPPED, WAITING, WARN
from roman_moe.nodes.base.node import NOT_FINITE, RomanNode
from roman_moe.nodes.base.parameters import TaskParameters, parameter, texts_of
from roman_moe.nodes.base.peers import names_of
from roman_moe.nodes.control.commanders import CONFLICTS, LOOK_PERIOD
from roman_moe.nodes.control.observation import Observation, observations
from roman_moe.nodes.control.pending_answers import PendingAnswers

MISSED_TICKS = "missed_ticks"
SKIPPED_TICKS = "skipped_ticks"
TAKEN_OUT = "taken_out"
DRIVER = "driver"
"""Who drives: `POLICY` or `OPERATOR`."""
POLICY, OPERATOR = "policy", "operator"

LED, FAINT = 0.5, 0.05
"""Weight of those that are taken out at which the arm is halted for them, and below which one of them is not named."""

OWN_STOPPED = "~/stopped"
"""`topics.STOPPED` of the node that the graph calls "blender"; a second blender has its own, as its services."""


@dataclass(frozen=True)
class BlenderParameters(TaskParameters):
    """Parameters of the blender. Without a bundle it accepts only an operator's answers."""

    lockstep: bool = parameter("whether a tick waits for its experts without a timeout", False)
    deadline: float = parameter("without lockstep: time from a scene to its command, at most [s]", 0.03, (0.001, 1.0))
    speed: float = parameter("simulated seconds per second; scales the scene timeout", 1.0, (0.001, 100.0))
    limits: str = parameter("file of the guard's limits; config/limits.yaml if empty", "", shipped=True)
    taken_out: tuple[str, ...] = parameter("skills whose experts are taken out", (), fixed=False)
    stopped: bool = parameter("whether the node starts stopped, as a restarted one may have to", False)
    ramp: float = parameter("duration of a change: an expert out or back, or a hand-back [s]", 0.5, (0.0, 10.0))


class Blender(RomanNode):
    """Turns `gate/weights` and the experts' actions into `delta_twist_cmds` and `gripper_cmd`."""

    NAME = "blender"
    PARAMETERS = BlenderParameters
    _settings: BlenderParameters
    _sent: Command | None = None
    _guard: Guard | None = None
    _stopped = False  # outlives the guard, which a node that is configured again makes anew

    def __init__(self, name: str | None = None, **options: Any) -> None:
        super().__init__(name, **options)
        self.real_time = not self._settings.lockstep and self._settings.speed == 1.0
        self._skills: tuple[str, ...] = ()
        self._mask = ExpertMask(self._counting(), self._settings.ramp)
        # here, as the services: a stop holds the arm whoever commands it, also while this node is inactive
        self._stopped_publisher = self.create_publisher(topics.STOPPED.kind, OWN_STOPPED, topics.STOPPED.qos)
        self._set_stopped(self._settings.stopped)
        self._tell_taken_out()
        self.trigger_service("stop", self._stop)  # here: one that comes before the activation counts, too
        self.trigger_service("rearm", self._rearm)
        self.add_on_set_parameters_callback(self._check)
        self.add_post_set_parameters_callback(self._take)

    def configure(self) -> None:
        """Learn task, skills and rates, and read the limits."""
        settings, limits = self._settings, load_limits(self._settings.limits)
        self._spec, self._skills, self._rates = settings.spec(), settings.skills(), settings.rates()
        self._guarded_blend = GuardedBlend(self._spec, limits, self._rates.control_rate)
        self._guard = self._guarded_blend.guard
        if self._stopped:
            self._guard.stop()
        self._silence = limits.max_command_age / (1.0 if self.simulated_time else min(1.0, self._settings.speed))
        refused = self._taken_out_wrongly(self._taken_out)
        if refused:
            raise ConfigError(f"{self.get_name()}: parameter {refused}")
        self._pending = PendingAnswers(self._rates, self._spec.action.size, len(self._skills))
        self._mask = ExpertMask(self._counting(), self._settings.ramp)
        self._mask.set(self._counting())  # what was set a moment ago went to the mask before

    def clean_up(self) -> None:
        """Know no skills: until they are read again, whatever `taken_out` says is checked then."""
        self._skills = ()

    def activate(self) -> None:
        """Begin without any scene, the arm at rest; refused while another node commands it."""
        self._open = False  # whether its command is still to be decided
        self._armed = False
        self._operator = Operator(self._settings.ramp)
        self._begin_episode()
        self._publish_gripper = self.advertise_numbers(topics.GRIPPER_COMMAND, topics.GRIPPER)
        self._publish_twist = self.advertise_numbers(topics.TWIST_COMMAND, topics.TWIST)
        self._publish_tick = self.advertise_numbers(topics.TICK, topics.tick_of(self._skills))
        self._deadline = self.timer(self._settings.deadline, self._on_deadline, of_arm=True)
        self._deadline.cancel()
        self._watchdog = self.timer(self._silence, self._on_silence, of_arm=True)
        self._watchdog.cancel()
        self._braking = self.timer(1.0 / self._rates.control_rate, self._on_silence, of_arm=True)
        self._braking.cancel()
        self._twice: list[str] = []
        operators = topics.OPERATOR_ACTION, topics.OPERATOR_WEIGHTS
        self._sources = (topics.SCENE, topics.GATE_WEIGHTS, *map(topics.expert_action, self._skills), *operators)
        self.listen_for_ended()
        self.timer(LOOK_PERIOD, self._find_conflicts)
        self.listen(topics.SCENE, self._on_scene, observations(self._spec), serialized=True)
        self.listen_numbers(topics.GATE_WEIGHTS, topics.weights_of(self._skills), self._on_weights)
        for i, skill in enumerate(self._skills):
            self.listen_numbers(topics.expert_action(skill), topics.action_of(self._spec), partial(self._on_action, i))
        self.listen_numbers(topics.OPERATOR_ACTION, topics.action_of(self._spec), partial(self._on_operator, False))
        self.listen_numbers(topics.OPERATOR_WEIGHTS, topics.weights_of(self._skills), partial(self._on_operator, True))
        self.diagnostics.fact({DRIVER: POLICY})
        self.diagnostics.state(WARN, f"{WAITING}scene")

    def deactivate(self) -> None:
        """Tell the arm to stand still: who falls silent in mid-motion leaves that to the arm's own timeout."""
        sent, self._sent = self._sent, None
        while sent is not None:  # no time is left for steps: what counts is that the last word is rest
            sent = self._guarded_blend.guard.halt(sent.stamp_ns, GuardStatus.HALT_COMMAND_STALE)
            self._publish(sent)
            if not sent.moves:
                break

    def _begin_episode(self) -> None:
        self._pending.clear()
        self._operator.clear()
        self._guarded_blend.reset()

    def _set_stopped(self, stopped: bool) -> None:
        self._stopped = stopped
        if self._guard is not None:
            (self._guard.stop if stopped else self._guard.rearm)()
        self.diagnostics.fact({STOPPED: str(stopped)})
        self._stopped_publisher.publish(Bool(data=stopped))

    def _tell_taken_out(self) -> None:
        self.diagnostics.fact({TAKEN_OUT: ",".join(self._taken_out)})

    @property
    def _taken_out(self) -> tuple[str, ...]:
        return texts_of(self.get_parameter(TAKEN_OUT).value) or ()

    def _stop(self) -> str:
        """Bring the arm to rest, until it is re-armed."""
        was = self._stopped
        self._set_stopped(True)
        if self._sent is not None and not was:
            self._halt_at_once()
        return "stopped until rearm; this is software, and no safety-rated emergency stop"

    def _halt_at_once(self) -> None:
        """Answer the present scene, or answer it again: a stop waits for no tick."""
        self._halt(GuardStatus.STOPPED, early=not self._open)
        self._open = False
        self._deadline.cancel()
        self._tell(GuardStatus.STOPPED)

    def _halt(self, status: GuardStatus, early: bool = False) -> Command:
        """Answer the present scene by a halt."""
        command = self._sent = self._guarded_blend.halt(self._scene, status, early)
        self._publish(command)
        self._tell_tick(command, driven=self._operator.drives_at(command.stamp_ns))
        return command

    def _rearm(self) -> str:
        """Let the arm move on, from rest."""
        was = self._stopped
        self._set_stopped(False)
        return "armed again, from rest" if was else "was not stopped"

    def _check(self, parameters: list[Parameter[Any]]) -> SetParametersResult:
        for wanted in parameters:
            refused = self._taken_out_wrongly(texts_of(wanted.value)) if wanted.name == TAKEN_OUT else ""
            if refused:
                return SetParametersResult(successful=False, reason=refused)
        return SetParametersResult(successful=True)

    def _taken_out_wrongly(self, skills: tuple[str, ...] | None) -> str:
        if skills is None:
            return f"{TAKEN_OUT}: expected a list of skills, such as [one, two]"
        for skill in skills:
            if self._skills and skill not in self._skills:
                return f"{TAKEN_OUT}: unknown skill {skill!r}: expected some of {', '.join(self._skills)}"
        return ""

    def _take(self, parameters: list[Parameter[Any]]) -> None:
        if any(wanted.name == TAKEN_OUT for wanted in parameters):
            self._mask.set(self._counting())
            self._tell_taken_out()

    def _counting(self) -> NDArray[np.float64]:
        """1 for each expert that counts, 0 for those taken out, (n,)."""
        out = self._taken_out
        return np.array([float(skill not in out) for skill in self._skills])

    def _on_scene(self, seen: Observation) -> None:
        stamp = seen.scene.stamp_ns
        if self.from_the_future(topics.SCENE.name, stamp):
            return
        if stamp == self._pending.stamp:  # the arm asks again: it may have missed the command
            if not self._open and self._sent is not None:
                self._publish(self._sent)
            return
        if self._open and self._armed:
            self.diagnostics.count(SKIPPED_TICKS, f"no command for {self._pending.stamp} ns before the next scene")
        if stamp < self._pending.stamp:
            self._begin_episode()
        elif begins_anew(stamp, self._pending.stamp):
            self._guarded_blend.reset()  # what has come for this scene before it is not to be forgotten
        self._scene, self._open = seen.scene, True
        self._pending.begin(stamp)
        self._operator.begin(stamp)
        self._share, self._needed = self._mask.share(stamp), self._mask.counting
        if not self._settings.lockstep:
            self._deadline.reset()
            self._watchdog.reset()
            self._braking.cancel()
        self._decide_if_complete()

    def _on_weights(self, stamped: tuple[int, NDArray[np.float64]]) -> None:
        stamp, weights = stamped
        declined = bool(np.isnan(weights).all())  # the gate has no answer to this scene
        if not declined and not np.isfinite(weights).all():
            self.diagnostics.count(NOT_FINITE, f"weights for {stamp} ns")
            if not self._settings.lockstep:  # a good one may still come before the deadline
                return
        if not self._pending.add_weights(stamp, weights):
            self.diagnostics.count(CONFLICTS, f"different weights for {stamp} ns: is there a second gate?")
            return
        self._decide_if_complete()

    def _on_action(self, expert: int, stamped: tuple[int, NDArray[np.float64]]) -> None:
        stamp, action = stamped
        if not (np.abs(action) <= ACTION_BOUND).all():
            if not np.isnan(action).all():  # which is how an expert says that it has no answer
                wrong = f"action {action.tolist()} of {self._skills[expert]} for {stamp} ns: expected -1 to 1"
                self.diagnostics.count(NOT_FINITE, wrong)
            action = np.full(len(action), np.nan)
        if stamp == self._pending.stamp and not self._open:
            return
        if not self._pending.add_action(stamp, expert, action):
            who = self._skills[expert]
            self.diagnostics.count(CONFLICTS, f"different actions of {who} for {stamp} ns: is there a second expert?")
            return
        self._decide_if_complete()

    def _on_operator(self, weights: bool, stamped: tuple[int, NDArray[np.float64]]) -> None:
        stamp, answer = stamped
        if not ((np.abs(answer) <= ACTION_BOUND).all() or np.isnan(answer).all()):
            wrong = f"operator's answer {answer.tolist()} for {stamp} ns: expected -1 to 1, or NaN to hand back"
            self.diagnostics.count(NOT_FINITE, wrong)
            return
        if not self._operator.add(stamp, answer, weights):
            self.diagnostics.count(CONFLICTS, f"different answers of the operator for {stamp} ns: is there a second?")
            return
        self._decide_if_complete()

    def _decide_if_complete(self) -> None:
        if self._open and not self._missing():
            self._armed = True
            self._decide()

    def _on_deadline(self) -> None:
        self._deadline.cancel()
        if not self._open:
            return
        if self._armed:
            self._decide()
        else:
            self.diagnostics.state(WARN, f"{WAITING}{', '.join(self._missing())}")

    def _on_silence(self) -> None:
        """No scene for too long: whoever still listens is told to rest."""
        stamp = self._pending.stamp
        self._watchdog.cancel()
        self._braking.cancel()
        self._deadline.cancel()
        if self._open and self._armed:
            self.diagnostics.count(MISSED_TICKS, f"at {stamp} ns: no time was left to answer: held the arm")
            self._open = False
        if self._sent is not None:
            command = self._halt(GuardStatus.HALT_OBSERVER_SILENT)
            if command.moves:  # limits that do not let it stop at once: again, until it is at rest
                self._braking.reset()
            else:
                self._guarded_blend.guard.reset(command.gripper_opening)
        self._tell(GuardStatus.STOPPED if self._stopped else GuardStatus.HALT_OBSERVER_SILENT)

    def _missing(self) -> list[str]:
        """Who has not answered the present scene."""
        stamp, operator = self._pending.stamp, self._operator
        weights = operator.weights(stamp)
        if operator.drives_at(stamp) and weights is None:
            return [OPERATOR] if operator.action(stamp) is None else []
        experts = self._pending.missing(self._needed, weights)
        return ["gate"] if experts is None else [f"expert_{self._skills[i]}" for i in experts]

    def _find_conflicts(self) -> None:
        """Find what two nodes say: whose word came first would be chance."""
        self._twice = [
            f"{topic.name} by {', '.join(names)}"
            for topic in self._sources
            if len(names := names_of(self.publishers_of(topic))) > 1
        ]

    def _rest_between_two(self) -> None:
        self._halt(GuardStatus.HALT_TWO_COMMANDERS)
        status = self._guarded_blend.guard.status
        self._tell(status)
        if status is not GuardStatus.STOPPED:
            self.diagnostics.state(ERROR, f"{status.name}: {'; '.join(self._twice)}")

    def _decide(self) -> None:
        if self._twice:
            self._open = False
            self._deadline.cancel()
            self._rest_between_two()
            return
        missing = self._missing()
        weights = self._operator.weights(self._pending.stamp)
        driven = self._operator.drives_at(self._pending.stamp)
        if driven and weights is None:
            decision = self._guarded_blend.drive(self._scene, self._operator.action(self._pending.stamp))
        else:
            changeover = None if driven else self._operator.after_hand_back
            weights = self._pending.present_weights() if weights is None else weights
            actions = self._pending.present_actions()
            decision = self._guarded_blend.decide(
                self._scene, weights, actions, self._share, bool(missing), changeover=changeover
            )
        if driven and not decision.fault:
            self._operator.drove(decision.action)
        self.diagnostics.fact({DRIVER: OPERATOR if driven else POLICY})
        out = self._out(weights)
        why = f"{', '.join(out)} is taken out" if out else decision.fault
        fault = f"held the arm: {why}" if decision.fault else "blended the others" if missing else ""
        if fault and not self._waits_for_poses():
            absent = f"no answer from {', '.join(missing)}: " if missing else ""
            self.diagnostics.count(MISSED_TICKS, f"at {self._pending.stamp} ns: {absent}{fault}")
        self._open = False
        self._deadline.cancel()
        self._sent = decision.command
        self._publish(decision.command)
        self._tell_tick(decision.command, decision.weights, driven)
        self._tell(self._guarded_blend.guard.status, why if decision.fault and out else "")

    def _waits_for_poses(self) -> bool:
        """Whether the episode's objects have not all been seen yet: nothing is wrong, and `STATUS` says it."""
        return self._guarded_blend.guard.status is GuardStatus.HALT_OBJECTS_STALE and not self._guarded_blend.answered

    def _out(self, weights: NDArray[np.float64] | None) -> list[str]:
        """Skills that are taken out, if the arm is halted for them."""
        if weights is None or not np.isfinite(weights).all():
            return []
        out = [i for i in range(len(self._skills)) if not self._needed[i] and weights[i] > FAINT]
        return [self._skills[i] for i in out] if weights[out].sum() >= LED else []

    def _tell(self, status: GuardStatus, why: str = "") -> None:
        # a limit may come and go with every tick: what halts the arm is told at once, below
        self.diagnostics.fact({STATUS: f"{status.value} {status.name}"}, at_once=False)
        level = ERROR if status is GuardStatus.STOPPED else WARN if status.halts else OK
        self.diagnostics.state(
            level, f"{status.name}{f': {why}' if why else ''}" if status.halts else "giving commands"
        )

    def _tell_tick(self, command: Command, weights: NDArray[np.float64] | None = None, driven: bool = False) -> None:
        """Tell what this tick used: the weights of its mixture, none if the arm is halted, and who drove."""
        used = [0.0] * len(self._skills) if weights is None else weights.tolist()
        guard = float(self._guarded_blend.guard.status)
        opening = command.gripper_opening
        self._publish_tick(command.stamp_ns, [*used, *command.twist.tolist(), opening, guard, float(driven)])

    def _publish(self, command: Command) -> None:
        """The gripper first: who has the twist of a stamp has the whole command."""
        self._publish_gripper(command.stamp_ns, [command.gripper_opening])
        self._publish_twist(command.stamp_ns, command.twist.tolist())
