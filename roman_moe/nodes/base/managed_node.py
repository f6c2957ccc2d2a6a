"""A managed node that nothing ends: its life cycle, what it makes while it is active, and its time.

No fault in a callback and no illegal transition ends a node: all are counted and reported. Publishers, subscriptions
and timers exist while a node is active and at no other time, so one that is not commands nothing, not even by accident.
Only what a node reports of itself, such as diagnostics, is published always.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar

from rclpy.clock import Clock, ClockType, ROSClock
from rclpy.context import Context
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.timer import Timer
from std_srvs.srv import Trigger

from roman_moe.arms.clock import MonotonicClock
from roman_moe.core.errors import RomanError
from roman_moe.core.state import NANOSECONDS
from roman_moe.nodes.base.diagnostics import ERROR, OK, PROCESS, WAITING, WARN, Diagnostics
from roman_moe.nodes.base.parameters import AUTOSTART, NodeParameters, declare
from roman_moe.nodes.base.peers import own_process
from roman_moe.nodes.base.process import remap_arguments

POLL_PERIOD = 0.02  # [s] between two looks for what a node waits for when it starts
REPORT_PERIOD = 1.0  # [s] between two reports meanwhile

CALLBACK_FAULTS = "faults"
ILLEGAL = "illegal_transitions"


class ManagedNode(LifecycleNode):
    """A node that starts itself, unless its parameter `autostart` is false.

    A node overrides `configure` (load what takes time), `activate` (begin to listen and to publish) and, if it holds
    more than those entities, `deactivate` and `clean_up`.

    Args:
        name: of the node; the class's own if None.
        context: to live in; rclpy's default one if None.
        parameters: values that replace defaults, as a parameter file or the command line would.
        remaps: other names for topics, by the usual ones.

    Attributes:
        process: id of the process that it lives in.
        starting: whether it starts by itself: a transition on request is a callback, which holds up its whole process.
    """

    NAME: ClassVar[str]
    PARAMETERS: ClassVar[type[NodeParameters]] = NodeParameters

    _settings: Any  # of PARAMETERS

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
        self.starting = False
        self._activities = 0  # ended so far: an executor may still bring what was meant for one of them
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
        self.process = own_process(self)
        self.diagnostics.fact({PROCESS: self.process.hex()}, at_once=False)  # in the first report
        self._wall = Clock(clock_type=ClockType.STEADY_TIME)
        self._monotonic = MonotonicClock()
        self._settings = declare(self, self.PARAMETERS)
        if not self._settings.autostart:
            self.diagnostics.fact({AUTOSTART: str(False)})
        self._survive_illegal_transitions()

    def start(self) -> None:
        """Configure and activate, if the node is to do so by itself.

        Raises:
            RomanError: why it cannot.
        """
        if not self._settings.autostart:
            return
        self.starting = True
        try:
            for trigger in (self.trigger_configure, self.trigger_activate):
                if trigger() != TransitionCallbackReturn.SUCCESS:
                    raise self._refusal or RomanError(f"{self.get_name()}: {trigger.__name__} failed")
        finally:
            self.starting = False

    def wait_while(
        self,
        what: str,
        missing: Callable[[], str],
        timeout: float,
        pause: Callable[[], object] = lambda: time.sleep(POLL_PERIOD),
    ) -> str:
        """Wait until nothing is missing, for up to `timeout` [s], and report each second what is; what is in the end.

        Args:
            missing: what is missing of it; empty if nothing is.
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
        """End whatever the node does, and the node; a signal may have left it half-made."""
        self._activities += 1  # what the executor still brings is for nobody
        if hasattr(self, "diagnostics"):
            self.protect(self.deactivate)
        super().destroy_node()
        if hasattr(self, "_state_machine"):
            # rclpy forgets it, and with it keeps the node, its DDS participant and 0.5 MB of shared memory
            self._state_machine.destroy_when_not_in_use()

    @property
    def full_name(self) -> str:
        """Namespace and name, without the slash at the beginning."""
        return str(self.get_fully_qualified_name()).lstrip("/")

    def trigger_service(self, name: str, act: Callable[[], str]) -> None:
        """Offer the std_srvs/Trigger service `~/name`: `act` does it and says what it did.

        It then exists for as long as the node. If a service went just after a request had come, the request would end
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

    @property
    def simulated_time(self) -> bool:
        """Whether the node's clock follows /clock: its parameter `use_sim_time`."""
        clock = self.get_clock()
        return isinstance(clock, ROSClock) and clock.ros_time_is_active

    def steady(self) -> float:
        """Time that never goes back [s], to measure how long an arm takes: of /clock, where the node follows it."""
        simulated = self.simulated_time
        return self._monotonic.at(self.get_clock().now().nanoseconds / NANOSECONDS if simulated else time.monotonic())

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
