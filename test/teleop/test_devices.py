"""Input devices by the bytes that they give: what moves, what was done, and what a loss leaves."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from roman_moe.teleop.device import RETRY, Device, DeviceError, OperatorEvent
from roman_moe.teleop.gamepad import AXIS, BUTTON, BUTTONS, DEAD_MAN, INITIAL, RECORD, Gamepad
from roman_moe.teleop.keyboard import HELD, Keyboard
from roman_moe.teleop.spacemouse import SILENCE, SpaceMouse, find_space_mouse

Send = Callable[..., None]


class Typed:
    """What is typed at a keyboard."""

    def __init__(self) -> None:
        self.text = ""
        self.keyboard = Keyboard(self._read)

    def _read(self) -> str:
        text, self.text = self.text, ""
        return text

    def __call__(self, text: str) -> None:
        self.text += text


class Plug:
    """A device file: a pipe that a test writes to, and closes to unplug it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "device"
        os.mkfifo(self.path)
        reader = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)  # without one, a writer cannot open it
        self.plug_in()
        os.close(reader)

    def plug_in(self) -> None:
        self._writer = os.open(self.path, os.O_RDWR | os.O_NONBLOCK)

    def send(self, *records: bytes) -> None:
        for record in records:
            os.write(self._writer, record)

    def unplug(self) -> None:
        os.close(self._writer)


@pytest.fixture
def plug(tmp_path: Path) -> Plug:
    return Plug(tmp_path)


@pytest.fixture
def typed() -> Typed:
    return Typed()


@pytest.mark.parametrize(
    ("keys", "axes"),
    [
        ("w", {0: 1.0}),
        ("s", {0: -1.0}),
        ("\x1b[D", {1: 1.0}),
        ("d", {1: -1.0}),
        ("\x1b[5~", {2: 1.0}),
        ("wae", {0: 1.0, 1: 1.0, 2: 1.0}),
        ("jl", {5: -1.0}),
        ("ws", {0: -1.0}),
        ("?!x", {}),
    ],
)
def test_keys_move_axes_for_a_moment(typed: Typed, keys: str, axes: dict[int, float]) -> None:
    expected = [axes.get(i, 0.0) for i in range(6)]
    typed(keys)
    given = typed.keyboard.read(10.0)
    assert given.axes.tolist() == expected
    assert given.held is bool(axes)
    assert typed.keyboard.read(10.0 + 0.99 * HELD).axes.tolist() == expected
    late = typed.keyboard.read(10.0 + 1.01 * HELD)
    assert not late.axes.any()
    assert not late.held


def test_a_key_that_repeats_keeps_its_axis_moving_beside_another(typed: Typed) -> None:
    for moment in np.arange(0.0, 1.0, 0.03):
        typed("w")
        assert typed.keyboard.read(moment).axes[0] == 1.0
    typed("a")
    assert typed.keyboard.read(1.0).axes[:2].tolist() == [1.0, 1.0]


@pytest.mark.parametrize(("first", "second"), [("\x1b", "[A"), ("\x1b[", "A"), ("", "\x1b[A")])
def test_a_key_that_comes_in_pieces_is_one_key(typed: Typed, first: str, second: str) -> None:
    typed(first)
    assert not typed.keyboard.read(0.0).held
    typed(second)
    given = typed.keyboard.read(0.01)
    assert given.axes[0] == 1.0
    assert given.axes[1] == 0.0, "the A of an arrow is no `a`"


def test_acts_come_once_and_in_order_and_a_stop_ends_a_motion(typed: Typed) -> None:
    typed("wtg+-n3r1hR q")
    given = typed.keyboard.read(0.0)
    assert given.events == (
        *(
            OperatorEvent.TAKE_OVER,
            OperatorEvent.GRIPPER,
            OperatorEvent.FASTER,
            OperatorEvent.SLOWER,
            OperatorEvent.NEXT,
            OperatorEvent.AGAIN,
            OperatorEvent.HAND_BACK,
            OperatorEvent.REARM,
        ),
        *(OperatorEvent.STOP, OperatorEvent.QUIT),
    )
    assert given.skills == (2, 0)
    assert not given.held
    assert typed.keyboard.read(0.0).events == ()


def pad(value: int, kind: int, number: int) -> bytes:
    return RECORD.pack(0, value, kind, number)


def test_a_gamepad_moves_while_its_dead_man_is_held(plug: Plug) -> None:
    gamepad = Gamepad(plug.path)
    plug.send(pad(-32767, AXIS, 1), pad(16384, AXIS, 0))
    given = gamepad.read(0.0)
    assert not given.held
    assert not given.axes.any()
    plug.send(pad(1, BUTTON, DEAD_MAN))
    given = gamepad.read(0.01)
    assert given.held
    assert given.axes[0] == 1.0
    assert given.axes[1] == pytest.approx(-(0.5 - 0.1) / 0.9, abs=1e-3)
    assert not given.axes[2:].any(), "triggers rest at -1, or have said nothing"
    plug.send(pad(32767, AXIS, 5), pad(3000, AXIS, 0))
    given = gamepad.read(0.02)
    assert given.axes[3] == 1.0
    assert given.axes[1] == 0.0, "within the middle"
    plug.send(pad(0, BUTTON, DEAD_MAN))
    assert not gamepad.read(0.03).axes.any()


def test_a_dead_man_that_was_held_when_the_gamepad_was_opened_does_not_count(plug: Plug) -> None:
    gamepad = Gamepad(plug.path)
    plug.send(pad(1, BUTTON | INITIAL, DEAD_MAN), pad(-32767, AXIS | INITIAL, 1), pad(1, BUTTON | INITIAL, 0))
    given = gamepad.read(0.0)
    assert (given.held, given.events) == (False, ())


def test_buttons_and_the_cross_act_when_they_go_down(plug: Plug) -> None:
    gamepad = Gamepad(plug.path)
    plug.send(*(pad(value, BUTTON, number) for number in BUTTONS for value in (1, 0)))
    plug.send(*(pad(value, AXIS, 7) for value in (-32767, 0, 32767, 32767, 0)))
    assert gamepad.read(0.0).events == (*BUTTONS.values(), OperatorEvent.FASTER, OperatorEvent.SLOWER)


def test_a_record_that_comes_in_pieces_is_one_record(plug: Plug) -> None:
    gamepad = Gamepad(plug.path)
    record = pad(1, BUTTON, 0)
    plug.send(record[:3])
    assert gamepad.read(0.0).events == ()
    plug.send(record[3:])
    assert gamepad.read(0.0).events == (OperatorEvent.GRIPPER,)


def held_gamepad(plug: Plug) -> Device:
    gamepad = Gamepad(plug.path)
    plug.send(pad(1, BUTTON, DEAD_MAN), pad(-32767, AXIS, 1))
    return gamepad


def held_space_mouse(plug: Plug) -> Device:
    mouse = SpaceMouse(plug.path)
    plug.send(translation(0, -350, 0))
    return mouse


@pytest.mark.parametrize("make", [held_gamepad, held_space_mouse])
def test_an_unplugged_device_rests_and_says_so_and_works_again_when_it_is_back(
    plug: Plug, make: Callable[[Plug], Device]
) -> None:
    device = make(plug)
    assert device.read(0.0).axes[0] == 1.0
    plug.unplug()
    given = device.read(0.01)
    assert not given.held
    assert not given.axes.any()
    assert "it was unplugged: plug it in again" in device.fault
    plug.plug_in()
    device.read(0.02)
    assert device.fault, "it is not tried at every tick"
    device.read(0.02 + RETRY)
    assert device.fault == ""
    assert not device.read(0.03 + RETRY).held, "what was held before it was lost is not held now"
    device.close()


def translation(x: int, y: int, z: int) -> bytes:
    return struct.pack("<B3h", 1, x, y, z)


def test_a_space_mouse_moves_as_its_cap_is_pushed(plug: Plug) -> None:
    mouse = SpaceMouse(plug.path)
    for report, axes in (
        (translation(0, -350, 0), [1, 0, 0, 0, 0, 0]),
        (translation(-350, 0, 0), [0, 1, 0, 0, 0, 0]),
        (translation(0, 0, -350), [0, 0, 1, 0, 0, 0]),
        (translation(0, 20, 0), [0, 0, 0, 0, 0, 0]),
        (struct.pack("<B6h", 1, 0, 0, 0, 0, 0, -350), [0, 0, 0, 0, 0, 1]),
        (struct.pack("<B3h", 2, 0, -350, 0), [0, 0, 0, 1, 0, 0]),
    ):
        plug.send(report)
        assert mouse.read(0.0).axes.tolist() == axes


def test_a_space_mouse_that_falls_silent_while_its_cap_is_deflected_counts_as_released(plug: Plug) -> None:
    mouse = SpaceMouse(plug.path)
    plug.send(translation(0, -350, 0))
    assert mouse.read(0.0).held
    assert mouse.read(0.9 * SILENCE).held
    assert not mouse.read(1.1 * SILENCE).held


def test_the_buttons_of_a_space_mouse(plug: Plug) -> None:
    mouse = SpaceMouse(plug.path)
    events = []
    for pressed in (1, 1, 0, 2, 0, 2, 3, 0):
        plug.send(bytes([3, pressed]))
        events += mouse.read(0.0).events
    assert events == [OperatorEvent.GRIPPER, OperatorEvent.TAKE_OVER, OperatorEvent.HAND_BACK, OperatorEvent.GRIPPER]


def test_a_report_of_another_kind_or_cut_off_is_left_alone(plug: Plug) -> None:
    mouse = SpaceMouse(plug.path)
    for report in (b"\x17" + bytes(6), bytes([1, 0, 1]), bytes([3])):
        plug.send(report)
        given = mouse.read(0.0)
        assert (given.held, given.events) == (False, ())


@pytest.mark.parametrize("kind", [Gamepad, SpaceMouse])
def test_a_device_that_cannot_be_read_is_refused_in_one_line(kind: type, tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="none: cannot be read: No such file or directory: is it plugged in"):
        kind(tmp_path / "none")


def test_a_space_mouse_is_found_by_its_vendor(tmp_path: Path) -> None:
    for name, line in (
        ("hidraw0", "HID_ID=0003:0000046A:00000023"),
        ("hidraw3", "DRIVER=hid\nHID_ID=0003:0000256F:0000C635\n"),
    ):
        (tmp_path / name / "device").mkdir(parents=True)
        (tmp_path / name / "device" / "uevent").write_text(line)
    assert find_space_mouse(tmp_path) == Path("/dev/hidraw3")
    with pytest.raises(DeviceError, match="no SpaceMouse is plugged in"):
        find_space_mouse(tmp_path / "hidraw0")
