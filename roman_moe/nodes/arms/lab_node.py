"""The lab as a node: publishes the arm's state and the true poses, follows one command a tick, judges the episode.

In real time a tick lasts a control period of the wall clock, and the arm stands still through a tick without a fresh
command. In lockstep a tick lasts until its command comes. The first tick of an episode waits in both. A state that goes
unanswered is sent again, so that a message that is lost while the graph starts cannot stop it.

All stamps and /clock are on one time base that never goes back. In real time that is the node's clock; in lockstep and
at another speed it begins there. While the blender is stopped the episode is paused: it is not judged, its time stands,
and the arm follows nobody's commands.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from numpy.typing import NDArray
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState
from std_msgs.msg import String

from roman_moe.arms.clock import FUTURE_TOLERANCE_NS, PacedClock, TickStamps, misfit
from roman_moe.core.action import Command, hold
from roman_moe.core.errors import ConfigError, RomanError
from roman_moe.core.outcome import Outcome
from roman_moe.core.state import NANOSECONDS, SceneState
from roman_moe.nodes.base import topics
from roman_moe.nodes.base.diagnostics import ERROR, OK, WAITING, WARN
from roman_moe.nodes.base.node import RomanNode
from roman_moe.nodes.base.parameters import TaskParameters, parameter
from roman_moe.nodes.bringup.episode_record import EpisodeRecorder
from roman_moe.nodes.control.commanders import REFUSED, TOO_SLOW, Commanders
from roman_moe.perception.frame_timing import RATE
from roman_moe.sim.episode import Episode
from roman_moe.sim.registry import load_sim_task
from roman_moe.sim.streams import Streams
from roman_moe.sim.urdf import arm_urdf, joint_names
from roman_moe.sim.viewer import Viewer
from roman_moe.sim.world import World
from roman_moe.wire.codec import LabTick, command_of, decode_weights, message_stamp

if TYPE_CHECKING:
    from roman_moe.nodes.arms.lab_cameras import LabCameras

RESEND_PERIOD = 0.25  # [s] after which an unanswered state is sent again
POLL_PERIOD = 0.005  # [s] between two looks at the clock: by so much a tick may be late
STOPPED_STATE = "stopped: no command is followed"
WAIT_INSTEAD = f"{TOO_SLOW}, or let the lab wait for commands (roman-moe demo, or launch argument lockstep:=true)"
RECORD_DELAY = 0.2  # [s] from an episode's end to its record: the gate's last weights may come after the last command


@dataclass(frozen=True)
class LabParameters(TaskParameters):
    """Parameters of the lab."""

    start: str = parameter("skill or scenario from which an episode starts; the last scenario if empty", "")
    sim_arm: str = parameter("name or folder of the simulated arm; the task's own if empty", "")
    seed: int = parameter("seed of the first episode's start; later episodes count up", 0, (0, 2**31 - 1))
    episodes: int = parameter("number of episodes; 0 for no end", 1, (0, 2**31 - 1))
    disturbed: bool = parameter("whether each episode has one disturbance", False)
    lockstep: bool = parameter("whether every tick waits for its command without a timeout", False)
    speed: float = parameter("simulated seconds per second, when not in lockstep", 1.0, (0.01, 100.0))
    episode_file: str = parameter("file (.npz) for the last episode's record; none if empty", "", formerly="record")
    viewer: bool = parameter("whether to open MuJoCo's viewer", False)
    cameras: bool = parameter("whether to draw the task's cameras", False)
    camera_rate: float = parameter("rate of the images, in simulated time [Hz]", RATE, (0.1, 100.0))
    markers: bool = parameter("whether the scene shows the objects' markers, with larger images", False)


class LabNode(RomanNode):
    """Plays the arm and its surroundings."""

    NAME = "lab"
    PARAMETERS = LabParameters
    _settings: LabParameters
    _viewer: Viewer | None = None
    _cameras: LabCameras | None = None

    def __init__(self, name: str | None = None, **options: Any) -> None:
        super().__init__(name, **options)
        self._real_time = not self._settings.lockstep and self._settings.speed == 1.0
        self.trigger_service("restart", self._restart)

    def configure(self) -> None:
        """Build the simulation, which steps at the controller's rate."""
        self._spec, rates = self._settings.spec(), self._settings.rates()
        task = load_sim_task(self._settings.task or self._spec.name)
        if task.spec != self._spec:
            raise ConfigError(
                f"{self._settings.bundle}: is for another version of the task {self._spec.name!r} than {task.folder}"
            )
        self._start = task.start(self._settings.start)
        if self._settings.cameras and not self._spec.cameras:
            raise ConfigError(f"task {self._spec.name!r} has no cameras: expected cameras in its task.yaml")
        self._lab = World(task, rates.control_rate, self._settings.sim_arm, self._settings.markers)
        self._joints = list(joint_names(self._lab.arm.arm))
        self._description = arm_urdf(self._lab.arm.arm)
        self._period_ns = round(NANOSECONDS / rates.control_rate)
        self._stamps = TickStamps(self._period_ns * rates.gate_divider)

    def activate(self) -> None:
        settings = self._settings
        if settings.viewer:
            self._viewer = Viewer(self._lab)
        self._episode = -1
        self._publish_hand = self.advertise_hand(self._spec)
        self._publish_truth = self.advertise_poses(topics.TRUTH_POSES, self._spec)
        self._joint_states = self.advertise(topics.JOINT_STATES)
        self.advertise(topics.ROBOT_DESCRIPTION).publish(String(data=self._description))
        self._clock_publisher = self.advertise(topics.CLOCK)
        self._outcome = self.advertise(topics.OUTCOME)
        self._ticks = self.advertise(topics.LAB_TICK)
        self.listen_twist(self._spec, self._on_twist)
        self.listen_numbers(topics.GRIPPER_COMMAND, topics.GRIPPER, self._on_gripper)
        self.listen(topics.GATE_WEIGHTS, self._on_weights)
        self.listen(topics.STOPPED, self._on_stopped, lambda message: message.data)
        self._stopped = False
        self._awaits_rearm = False  # before the next episode begins
        self._commanders = Commanders(self)
        self.timer(RESEND_PERIOD, self._on_resend)
        if not settings.lockstep:
            self.timer(min(POLL_PERIOD, 0.5 / (self._lab.control_rate * settings.speed)), self._on_poll)
        self._record_timer = self.timer(RECORD_DELAY, self._finish)
        self._record_timer.cancel()
        if settings.cameras:
            self._cameras = self._open_cameras()
            self.listen_poses(topics.OBJECT_POSES, self._spec, lambda poses: self._recorder.add_poses(poses))
        self._begin_episode()

    def _open_cameras(self) -> LabCameras:
        from roman_moe.nodes.arms.lab_cameras import LabCameras  # needs OpenCV
        from roman_moe.perception.markers import IMAGE

        settings, sizes = self._settings, self._spec.cameras
        if settings.markers:
            sizes = dict.fromkeys(sizes, IMAGE)
        return LabCameras(self, self._lab, sizes, settings.camera_rate, settings.lockstep)

    def deactivate(self) -> None:
        if self._cameras is not None:
            self._cameras.close()
            self._cameras = None
        if self._viewer is not None:
            self._viewer.close()
            self._viewer = None

    def _now_ns(self) -> int:
        """The lab's time [ns]: in real time, the node's clock when the episode began and a steady clock since then."""
        return self._arm_time.now_ns(time.monotonic())

    def _on_stopped(self, stopped: bool) -> None:
        self._stopped = stopped
        if self._awaits_rearm and not stopped:
            self._awaits_rearm = False
            self._begin_episode()

    def _restart(self) -> str:
        """Leave the episode as it is, and begin the next one."""
        if not self.active or self._stopped:
            raise RomanError(
                f"{self.get_name()} is {'stopped: re-arm' if self.active else 'not active: activate'} it first"
            )
        self._record_timer.cancel()
        self._begin_episode()
        return f"episode {self._episode} begins"

    def _begin_episode(self) -> None:
        self._episode += 1
        seed = self._settings.seed + self._episode
        self._current = Episode(self._lab, self._start, Streams.of_seed(seed), disturbed=self._settings.disturbed)
        self._state = self._current.state
        self._result = Outcome.RUNNING.value
        objects = len(self._spec.objects) if self._cameras is not None else 0
        self._recorder = EpisodeRecorder(self._start.name, seed, self._spec.skill_names, objects)
        self._commanders.forget()
        self._twist: tuple[int, NDArray[np.float64]] | None = None  # newest, with its stamp
        self._opening: tuple[int, float] | None = None  # likewise
        self._target = self._spec.gripper.open  # gripper opening last commanded [m]
        # whether the arm has followed the present state's command: the next state waits to be sent
        self._answered = False
        self._followed = -1  # stamp of the command that it followed last
        self._held_ticks = 0
        self._disturbed_ns = -1  # since the episode's start
        now_ns = self.get_clock().now().nanoseconds
        self._first_stamp = self._stamp = self._stamps.begin(now_ns, self._real_time)  # _stamp: of the present state
        # anew for each episode: what a set clock and another speed have done to the two is over then
        self._arm_time = PacedClock(now_ns if self._real_time else self._stamp, time.monotonic(), self._settings.speed)
        self._shown = False  # whether the first state has been sent
        self._publish_outcome()
        if self._cameras is not None:
            self._cameras.begin()
        if self._settings.lockstep:
            self._publish_state()

    def _on_twist(self, stamped: tuple[int, NDArray[np.float64]]) -> None:
        if self._is_for_now(topics.TWIST_COMMAND.name, stamped):
            self._twist = stamped
            self._follow_if_whole()

    def _on_gripper(self, stamped: tuple[int, NDArray[np.float64]]) -> None:
        if self._is_for_now(topics.GRIPPER_COMMAND.name, stamped):
            self._opening = stamped[0], float(stamped[1][0])
            self._follow_if_whole()

    def _is_for_now(self, topic: str, stamped: tuple[int, NDArray[np.float64]]) -> bool:
        """Whether a command with its stamp is for the present tick; a stamp that does not fit is reported."""
        stamp, accepted = stamped[0], self._commanders.accepts(topic, stamped)
        if not accepted or not self._running or self._answered:
            return False
        if self._commanders.in_conflict or stamp == self._followed:
            return False
        latest = self._stamp + self._period_ns - 1
        if self._real_time:
            latest = max(self._stamp, self._now_ns()) + FUTURE_TOLERANCE_NS
        wrong = misfit(stamp, self._first_stamp if self._waits else self._stamp, latest)
        if wrong:
            advice = f"; {WAIT_INSTEAD}" if self._real_time and stamp < self._stamp and not self._waits else ""
            where = f"{topic} at {stamp} ns {wrong}: the present state is of {self._stamp} ns"
            self.diagnostics.count(REFUSED, f"{where}{advice}")
        return not wrong

    def _follow_if_whole(self) -> None:
        if self._twist and self._opening and self._twist[0] == self._opening[0]:
            if self._stopped:
                self.diagnostics.state(WARN, STOPPED_STATE)
            else:
                self.diagnostics.state(OK, "following commands")
            self._follow(command_of(self._stamp, self._twist[1], self._opening[1]))

    @property
    def _running(self) -> bool:
        return self._result == Outcome.RUNNING.value

    @property
    def _waits(self) -> bool:
        """Whether the episode's first state waits for its command: the lab's own time does not run yet."""
        return self._running and self._state.stamp_ns == 0 and not self._answered

    def _on_poll(self) -> None:
        """Send what is due; once a control period is over the arm moves on, with or without a command."""
        if not self._running:
            return
        if self._cameras is not None:
            self._cameras.publish_drawn()
        now_ns = self._now_ns()
        self._publish_clock(now_ns)  # finer than the ticks: deadlines within one go by it
        if self._waits:
            if not self._shown and now_ns >= self._stamp:
                self._publish_state()
            return
        own = self._state.stamp_ns + self._period_ns
        due = self._stamps.stamp(own)
        if now_ns - due > self._period_ns:  # a busy machine: no tick is hurried
            due = self._stamps.postpone(own, now_ns)
        if now_ns < due:
            return
        if not self._answered:
            self._follow(self._incomplete_command())
        if self._running:
            self._publish_next()

    def _incomplete_command(self) -> Command:
        """What the arm does without a whole command: a twist alone keeps the gripper, without one it holds."""
        if self._stopped:
            return hold(self._stamp, self._target)
        if self._opening and not self._commanders.in_conflict:
            self._target = self._opening[1]
        if self._twist and not self._commanders.in_conflict:
            return command_of(self._stamp, self._twist[1], self._target)
        self._held_ticks += 1
        self.diagnostics.count(
            topics.HELD_TICKS, f"no command for {self._stamp} ns in time: held the arm; {WAIT_INSTEAD}"
        )
        return hold(self._stamp, self._target)

    def _follow(self, command: Command) -> None:
        if self._twist:
            self._followed = self._twist[0]
        if self._stopped:
            command = hold(command.stamp_ns, self._target)
        self._answered, self._twist, self._opening = True, None, None
        self._target = command.gripper_opening
        number = round(self._state.stamp_ns / self._period_ns)
        self._ticks.publish(topics.CODEC.lab_tick(LabTick(number, command, self._stopped)))
        if not self._stopped:
            self._recorder.add_tick(self._current.time_ns, command, self._lab.physics_state())
        try:
            with self._viewer.lock() if self._viewer else contextlib.nullcontext():
                met, time_ns = self._current.disturbance, self._current.time_ns
                outcome = self._current.step(command, paused=self._stopped)
                if self._current.disturbance != met:
                    self._disturbed_ns = time_ns
        except RomanError as error:
            self.diagnostics.state(ERROR, str(error))
            self._conclude(topics.FAULT)
            return
        if outcome is not Outcome.RUNNING:
            self._conclude(outcome.value)
        elif self._settings.lockstep:
            self._publish_next()

    def _publish_next(self) -> None:
        self._state = self._current.state
        self._stamp = self._stamps.stamp(self._state.stamp_ns)
        self._answered = False
        self._publish_state()

    def _on_resend(self) -> None:
        waiting = self._running and not self._answered and self._shown
        if waiting and time.monotonic() - self._sent_at >= RESEND_PERIOD:
            if self._real_time and self._twist:  # stamped apart from its gripper's, as teleoperators do
                self._follow(self._incomplete_command())
                return
            self.diagnostics.state(WARN, f"{WAITING}a command for {self._stamp} ns")
            if self._real_time and self._waits:  # or it would be the older, the longer it waits
                self._stamp = self._stamps.restamp(0, self._now_ns())
            self._publish_state()

    def _publish_state(self) -> None:
        state: SceneState = dataclasses.replace(self._state, stamp_ns=self._stamp)
        self._shown = True
        self._sent_at = time.monotonic()
        stamp = topics.CODEC.time(state.stamp_ns)
        if self._settings.lockstep:
            self._publish_clock(state.stamp_ns)
        self._publish_hand(state)
        self._publish_truth(state.poses)
        if self._cameras is not None:
            self._cameras.show(state.stamp_ns, self._lab.physics_state())
        positions, velocities = self._lab.joint_states()
        joints = JointState(name=self._joints, position=positions.tolist(), velocity=velocities.tolist())
        joints.header.stamp = stamp
        self._joint_states.publish(joints)
        if self._viewer is not None:
            self._viewer.update()

    def _publish_clock(self, now_ns: int) -> None:
        self._clock_publisher.publish(Clock(clock=topics.CODEC.time(now_ns)))

    def _on_weights(self, message: Any) -> None:
        weights = decode_weights(message, message.name)
        if np.isfinite(weights).all():
            self._recorder.add_weights(message_stamp(message), tuple(message.name), weights)

    def _conclude(self, result: str) -> None:
        self._result = result
        self.diagnostics.state(ERROR if result == topics.FAULT else OK, f"episode {self._episode} ended: {result}")
        self._record_timer.reset()

    def _finish(self) -> None:
        """Save and tell; then the next episode, if there is to be one."""
        self._record_timer.cancel()
        if self._settings.episode_file:
            record = self._recorder.finish(
                self._result,
                self._current.time_ns,
                self._held_ticks,
                self._current.disturbance,
                self._disturbed_ns,
            )
            record.save(self._settings.episode_file)
        self._publish_outcome()
        if self._settings.episodes == 0 or self._episode + 1 < self._settings.episodes:
            if self._stopped:  # the world stays as it is
                self._awaits_rearm = True
            else:
                self._begin_episode()

    def _publish_outcome(self) -> None:
        values = {
            "episode": self._episode,
            "seed": self._settings.seed + self._episode,
            "time_ns": self._current.time_ns,
            "first_ns": self._first_stamp,
            "real_time": self._real_time,
            topics.HELD_TICKS: self._held_ticks,
        }
        level = OK if self._result in (Outcome.RUNNING.value, Outcome.SUCCESS.value) else WARN
        self._outcome.publish(
            DiagnosticStatus(
                level=level,
                name=self._start.name,
                message=self._result,
                hardware_id=self.get_fully_qualified_name(),
                values=[KeyValue(key=key, value=str(value)) for key, value in values.items()],
            )
        )
