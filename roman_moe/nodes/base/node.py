"""What all nodes share: life cycle, parameters, strict subscriptions, publishers of the topic table, diagnostics.

No message, however malformed, no fault in a callback and no illegal transition ends a node: all are counted and
reported. Publishers, subscriptions and timers exist while a node is active and at no other time, so one that is not
commands nothing, not even by accident. Only what a node reports of itself, such as diagnostics, is published always.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray
from rclpy.clock import Clock, ClockType, ROSClock
from rclpy.context import Context
from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.publisher import Publisher
from rclpy.timer import Timer
from std_srvs.srv import Trigger

from roman_moe.arms.clock import FUTURE_TOLERANCE_NS, Forward
from roman_moe.core.errors import RomanError
from roman_moe.core.spec import TaskSpec
from roman_moe.core.state import NANOSECONDS, HandState, ObjectPoses
from roman_moe.nodes.base.diagnostics import ERROR, OK, PROCESS, WAITING, WARN, Diagnostics
from roman_moe.nodes.base.parameters import AUTOSTART, declare_autostart
from roman_moe.nodes.base.peers import TopicPublisher, own_process, publishers_of
from roman_moe.nodes.base.process import PARENT_VARIABLE, remap_arguments
from roman_moe.nodes.base.serialized import BodiesReader, BodiesWriter, Numbers, NumbersReader, NumbersWriter
from roman_moe.nodes.base.topics import CODEC, ENDED, HAND_STATE, TWIST, TWIST_COMMAND, Topic
from roman_moe.wire.bodies import Bodies, MessageError, scene_layout
from roman_moe.wire.codec import check_turns

T = TypeVar("T")

POLL_PERIOD = 0.02  # [s] between two looks for what a node waits for when it starts
REPORT_PERIOD = 1.0  # [s] between two reports meanwhile

MALFORMED = "malformed_messages"
NOT_FINITE = "non_finite_messages"
CALLBACK_FAULTS = "faults"
ILLEGAL = "illegal_transitions"
FUTURE = "stamps_from_the_future"


class RomanNode(LifecycleNode):
    """Base of all nodes of the graph: a managed node that starts itself, unless its parameter `autostart` is false.

    A node overrides `configure` (load what takes time), `activate` (begin to listen and to publish) and, if it holds
    more than those entities, `deactivate` and `clean_up`.

    Args:
        name: of the node; the class's own if None.
        context: to live in; rclpy's default one if None.
        namespace: of node and topics.
        parameters: values that replace defaults, as a parameter file or the command line would.
        remaps: other names for topics, by the usual ones.

    Attributes:
        NAME: the class's usual name as a node.
        PARAMETERS: the dataclass of its parameters.
        diagnostics: what the node says about itself.
        real_time: whether the stamps that it receives are its clock's time.
    """

    NAME: ClassVar[str]
    PARAMETERS: ClassVar[type]
    real_time = True

    def __init__(
        self,
        name: str | None = None,
        *,
        context: Context | None = None,
        namespace: str = "",
        parameters: Mapping[str, Any] | None = None,
        remaps: Mapping[str, str] | None = None,
    ) -> None:
        self._undo: list[Callable[[], object]] = []  # how to take back what `activate` has made
        self._acts: dict[str, Callable[[], str]] = {}  # of the trigger services, by name
        self._trigger_services: dict[str, object] = {}
        self._refusal: RomanError | None = None
        self._starting = False  # within `start`, not within a callback
        self._activities = 0  # ended so far: an executor may still bring what was meant for one of them
        self._ended: set[bytes] = set()  # processes that were killed
        self._lasting: frozenset[str] = frozenset()  # keys of facts from before it was configured, such as a stop
        super().__init__(
            name or self.NAME,
            context=context,
            namespace=namespace,
            cli_args=remap_arguments(remaps or {}),
            parameter_overrides=[Parameter(key, value=value) for key, value in (parameters or {}).items()],
            start_parameter_services=False,  # see `nodes.base.services`
        )
        self.diagnostics = Diagnostics(self)
        self.diagnostics.fact({PROCESS: self._self.process.hex()}, at_once=False)  # in the first report
        self._wall = Clock(clock_type=ClockType.STEADY_TIME)
        self._forward = Forward()
        self._autostart = declare_autostart(self)
        if not self._autostart:
            self.diagnostics.fact({AUTOSTART: str(False)})
        self._survive_illegal_transitions()

    def start(self) -> None:
        """Configure and activate, if the node is to do so by itself.

        Raises:
            RomanError: why it cannot.
        """
        if not self._autostart:
            return
        self._starting = True
        try:
            for trigger in (self.trigger_configure, self.trigger_activate):
                if trigger() != TransitionCallbackReturn.SUCCESS:
                    raise self._refusal or RomanError(f"{self.get_name()}: {trigger.__name__} failed")
        finally:
            self._starting = False

    @property
    def starting(self) -> bool:
        """Whether it starts by itself: a transition on request is a callback, which holds up its whole process."""
        return self._starting

    def wait_while(
        self,
        what: str,
        missing: Callable[[], str],
        timeout: float,
        pause: Callable[[], object] = lambda: time.sleep(POLL_PERIOD),
    ) -> str:
        """Wait until nothing is missing, for up to `timeout` [s], and report each second what is; what is in the end.

        Args:
            what: it waits for.
            missing: what is missing of it; empty if nothing is.
            timeout: [s]
            pause: lets some time pass.
        """
        now = time.monotonic()
        end, report = now + timeout, now
        while reason := missing():
            now = time.monotonic()
            if now >= end:
                break
            if now >= report:  # in time for a supervisor, which takes silence for a node that is frozen
                report = now + REPORT_PERIOD
                self.diagnostics.state(WARN, f"{WAITING}{what}: {reason}")
                self.diagnostics.tell()
            pause()
        return reason

    @property
    def active(self) -> bool:
        """Whether it may publish."""
        return bool(self._state_machine.current_state[1] == "active")

    def configure(self) -> None:
        """Load what takes time. Raises a RomanError for what cannot be used."""

    def activate(self) -> None:
        """Begin: advertise, listen, make timers. Raises a RomanError if it cannot."""

    def deactivate(self) -> None:
        """End what `activate` began, other than publishers, subscriptions and timers."""

    def come_to_rest(self) -> None:
        """Leave at rest what the node moves: first of all when its process ends, for whatever reason."""

    def clean_up(self) -> None:
        """Let go of what `configure` loaded."""

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._lasting = frozenset(self.diagnostics.facts)
        return self._transition(self.configure, "inactive", self.clean_up)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        self.diagnostics.state(OK, "active")  # until `activate` knows better
        return self._transition(self.activate, None, self._end_activity)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._transition(self._end_activity, "inactive")

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._transition(self._forget, "unconfigured")

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._transition(self._end, "shut down")

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._transition(self._end, "unconfigured")

    def _transition(
        self, act: Callable[[], None], becomes: str | None, take_back: Callable[[], None] = lambda: None
    ) -> TransitionCallbackReturn:
        self._refusal = None
        try:
            act()
        except RomanError as error:
            self._refusal = error
        except Exception as error:  # noqa: BLE001 (a managed node answers every transition)
            self._refusal = RomanError(f"{self.get_name()}: {type(error).__name__}: {error}")
        if self._refusal is not None:
            self.protect(take_back)
            self.diagnostics.state(ERROR, str(self._refusal))
        elif becomes is not None:
            self.diagnostics.state(OK, becomes)
        self.diagnostics.tell()
        return TransitionCallbackReturn.FAILURE if self._refusal else TransitionCallbackReturn.SUCCESS

    def _end_activity(self) -> None:
        # none of it may fail: a node that went back to "active" without its publishers would be neither
        self._activities += 1
        self.protect(self.deactivate)
        while self._undo:
            self.protect(self._undo.pop())

    def _forget(self) -> None:
        self.protect(self.clean_up)
        facts = self.diagnostics.facts
        for key in facts.keys() - self._lasting:
            del facts[key]

    def _end(self) -> None:
        self._end_activity()
        self._forget()

    def _survive_illegal_transitions(self) -> None:
        """Answer a transition that there is not from here with "no": Jazzy's rclpy raises, which ends the process."""
        answer = self._service_change_state.callback

        def guarded(request: Any, response: Any) -> Any:
            before = self._state_machine.current_state[1]
            self._refusal = None  # an earlier transition's
            try:
                response = answer(request, response)
            except Exception as error:  # noqa: BLE001 (RCLError is private to rclpy)
                self.diagnostics.count(ILLEGAL, str(error).splitlines()[0])
                response.success = False
                return response
            if not response.success and self._refusal is None:
                wanted = request.transition.label or request.transition.id
                self.diagnostics.count(ILLEGAL, f"{wanted} asked for while {before}")
            if response.success:  # a successor of this process is not to begin what somebody has ended
                self.diagnostics.fact({AUTOSTART: str(self.active)})
            return response

        self._service_change_state.callback = guarded

    def destroy_node(self) -> None:
        """End whatever the node does, and the node."""
        self._activities += 1  # what the executor still brings is for nobody
        self.protect(self.deactivate)
        super().destroy_node()
        # rclpy forgets it, and with it keeps the node, its DDS participant and 0.5 MB of shared memory
        self._state_machine.destroy_when_not_in_use()

    def advertise(self, topic: Topic) -> Publisher[Any]:
        """Publisher of a topic of the table.

        Raises:
            RomanError: if another node publishes it, and it is no topic that several nodes share.
        """
        if not topic.shared:
            self._claim(topic)
        events = PublisherEventCallbacks(
            incompatible_qos=partial(self.diagnostics.incompatible, topic.name, "subscription")
        )
        publisher: Publisher[Any] = self.create_publisher(topic.kind, topic.name, topic.qos, event_callbacks=events)
        self._undo.append(partial(self.destroy_publisher, publisher))
        return publisher

    def advertise_bodies(self, topic: Topic, names: tuple[str, ...]) -> Callable[[Bodies], None]:
        """Publishes bodies of these names on a MultiDOFJointState topic."""
        publisher, write = self.advertise(topic), BodiesWriter(names, CODEC.bodies)

        def publish(bodies: Bodies) -> None:
            publisher.publish(write(bodies))

        return publish

    def advertise_numbers(self, topic: Topic, numbers: Numbers) -> Callable[[int, Sequence[float]], None]:
        """Publishes stamp [ns] and numbers, (numbers.count,)."""
        publisher, write = self.advertise(topic), NumbersWriter(numbers)

        def publish(stamp_ns: int, values: Sequence[float]) -> None:
            publisher.publish(write(stamp_ns, values))

        return publish

    @property
    def full_name(self) -> str:
        """Namespace and name, without the slash at the beginning."""
        return str(self.get_fully_qualified_name()).lstrip("/")

    def publishers_of(self, topic: Topic) -> list[TopicPublisher]:
        """Who publishes a topic; without the killed ones that this node has been told of."""
        found = publishers_of(self, self.resolve_topic_name(topic.name))
        return [who for who in found if who.process not in self._ended]

    @cached_property
    def _self(self) -> TopicPublisher:
        return TopicPublisher(self.full_name, own_process(self))

    def listen_for_ended(self) -> None:
        """From now on, take no process that the supervisor has killed for a living one."""
        self.listen(ENDED, _process_id, self._ended.add)

    def others(self, topic: Topic) -> list[TopicPublisher]:
        """Who else publishes a topic, be it a node of this name in another process."""
        return [who for who in self.publishers_of(topic) if who != self._self]

    def _claim(self, topic: Topic) -> None:
        """Make sure that no other node publishes a topic that has one speaker at a time.

        The bring-up vouches for its own processes: a namesake is the killed predecessor, which DDS gives up later.
        """
        vouched = self.full_name if PARENT_VARIABLE in os.environ else None
        others = sorted({who.node for who in self.publishers_of(topic) if who.node != vouched})
        if others:
            raise RomanError(
                f"{self.get_name()}: {topic.name} is published by {', '.join(others)}: deactivate or end it first"
            )

    def listen(
        self, topic: Topic, decode: Callable[[Any], T], handle: Callable[[T], None], serialized: bool = False
    ) -> None:
        """Subscribe: `handle` gets what `decode` makes of each message, or of its bytes if `serialized`.

        What `decode` refuses with a MessageError is counted and dropped.
        """

        def on_message(message: Any) -> None:
            try:
                value = decode(message)
            except MessageError as error:
                self.diagnostics.count(MALFORMED, str(error))
                return
            handle(value)

        activity = self._activities

        def guarded(message: Any) -> None:
            if activity == self._activities:
                self.protect(on_message, message)

        subscription = self.create_subscription(
            topic.kind,
            topic.name,
            guarded,
            topic.requested_qos or topic.qos,
            event_callbacks=SubscriptionEventCallbacks(
                incompatible_qos=partial(self.diagnostics.incompatible, topic.name, "publisher")
            ),
            raw=serialized,
        )
        self._undo.append(partial(self.destroy_subscription, subscription))

    def listen_bodies(
        self, topic: Topic, names: tuple[str, ...], decode: Callable[[Bodies], T], handle: Callable[[T], None]
    ) -> None:
        """Subscribe to a MultiDOFJointState topic whose messages all name `names`."""
        read = BodiesReader(topic.name, topic.kind, names)
        self.listen(topic, lambda data: decode(read(data)), handle, serialized=True)

    def advertise_hand(self, spec: TaskSpec) -> Callable[[HandState], None]:
        """Publishes `hand_state`."""
        layout = scene_layout(spec)
        publish = self.advertise_bodies(HAND_STATE, layout.hand_names)
        return lambda hand: publish(layout.of_hand(hand))

    def advertise_poses(self, topic: Topic, spec: TaskSpec) -> Callable[[ObjectPoses], None]:
        """Publishes poses of a task's objects."""
        layout = scene_layout(spec)
        publish = self.advertise_bodies(topic, spec.object_names)
        return lambda poses: publish(layout.of_objects(poses))

    def listen_poses(self, topic: Topic, spec: TaskSpec, handle: Callable[[ObjectPoses], None]) -> None:
        """Subscribe to poses of a task's objects."""
        self.listen_bodies(topic, spec.object_names, scene_layout(spec).poses, handle)

    def listen_twist(self, spec: TaskSpec, handle: Callable[[tuple[int, NDArray[np.float64]]], None]) -> None:
        """Subscribe to commands: `handle` gets stamp [ns] and twist, (6,), that turns about no other axis than the
        task's actions do.
        """
        read = NumbersReader(TWIST_COMMAND.kind, TWIST)

        def decode(data: bytes) -> tuple[int, NDArray[np.float64]]:
            stamp, twist = read(data)
            check_turns(spec, twist)
            return stamp, twist

        self.listen(TWIST_COMMAND, decode, handle, serialized=True)

    def listen_numbers(
        self, topic: Topic, numbers: Numbers, handle: Callable[[tuple[int, NDArray[np.float64]]], None]
    ) -> None:
        """Subscribe: `handle` gets stamp [ns] and numbers, (numbers.count,)."""
        self.listen(topic, NumbersReader(topic.kind, numbers), handle, serialized=True)

    def trigger_service(self, name: str, act: Callable[[], str]) -> None:
        """Offer the std_srvs/Trigger service `~/name`: `act` does it and says what it did.

        From then on it is there for as long as the node: a request that came just before the service went would end
        the executor, and with it all nodes of the process.
        """
        self._acts[name] = act
        if name in self._trigger_services:
            return

        def answer(_: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
            try:
                response.success, response.message = True, self._acts[name]()
            except RomanError as error:
                response.success, response.message = False, str(error)
            except Exception as error:  # noqa: BLE001 (out of a callback it would end the executor)
                response.success, response.message = False, f"{type(error).__name__}: {error}"
                self.diagnostics.count(CALLBACK_FAULTS, f"{name}: {response.message}")
            return response

        self._trigger_services[name] = self.create_service(Trigger, f"~/{name}", answer)

    def from_the_future(self, what: str, stamp_ns: int) -> bool:
        """Whether a stamp is ahead of this node's clock by more than the tolerance; one that is, is counted.

        In lockstep and at another speed, stamps are the lab's own time: no clock can tell.
        """
        now_ns = self.get_clock().now().nanoseconds
        ahead_ns = stamp_ns - now_ns
        if not self.real_time or ahead_ns <= FUTURE_TOLERANCE_NS or now_ns == 0:  # no /clock yet
            return False
        tolerance = FUTURE_TOLERANCE_NS / NANOSECONDS
        wrong = f"is stamped {ahead_ns / NANOSECONDS:.3f} s in the future: expected at most {tolerance} s"
        self.diagnostics.count(FUTURE, f"{what} at {stamp_ns} ns {wrong}: are the machines' clocks synchronised?")
        return True

    @property
    def simulated_time(self) -> bool:
        """Whether the node's clock follows /clock: its parameter `use_sim_time`."""
        clock = self.get_clock()
        return isinstance(clock, ROSClock) and clock.ros_time_is_active

    def steady(self) -> float:
        """Time that never goes back [s], to measure how long an arm takes: of /clock, where the node follows it."""
        simulated = self.simulated_time
        return self._forward.at(self.get_clock().now().nanoseconds / NANOSECONDS if simulated else time.monotonic())

    def timer(self, period: float, handle: Callable[[], None], of_arm: bool = False) -> Timer:
        """Timer of `period` [s] wall time, with use_sim_time too; with `of_arm`, of the time that `steady` gives."""

        activity = self._activities

        def guarded() -> None:  # rclpy hands more arguments to whatever could take them: no partial, no lambda default
            if activity == self._activities:
                self.protect(handle)

        clock = self.get_clock() if of_arm and self.simulated_time else self._wall
        timer = self.create_timer(period, guarded, clock=clock)
        self._undo.append(partial(self.destroy_timer, timer))
        return timer

    def protect(self, handle: Callable[..., object], *arguments: Any) -> None:
        """Call `handle`; a fault in it is counted, and the node lives on."""
        try:
            handle(*arguments)
        except Exception as error:  # noqa: BLE001 (whatever it is, a control node must go on)
            self.diagnostics.count(CALLBACK_FAULTS, f"{type(error).__name__}: {error}")


def _process_id(message: Any) -> bytes:
    try:
        return bytes.fromhex(message.data)
    except ValueError:
        raise MessageError(f"{ENDED.name}: {message.data!r}: expected hexadecimal digits") from None
