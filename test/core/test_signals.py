"""Ctrl-C while a compiled module is imported, which may swallow it, comes afterwards."""

from __future__ import annotations

import importlib.util
import signal
import threading
from importlib.machinery import ExtensionFileLoader

import pytest

from roman_moe.core.signals import interrupts_after_imports


class Swallows(ExtensionFileLoader):
    """Loads a module at whose start Ctrl-C comes, and is lost."""

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            module.lost = True


@pytest.fixture
def module():
    return importlib.util.module_from_spec(importlib.util.spec_from_loader("swallows", Swallows("swallows", "")))


def import_and_wait(module):
    module.__spec__.loader.exec_module(module)
    threading.Event().wait()  # pytest's timeout ends it


def test_ctrl_c_in_the_start_of_a_compiled_module_comes_after_it(module):
    with interrupts_after_imports(), pytest.raises(KeyboardInterrupt):
        import_and_wait(module)
    assert not hasattr(module, "lost")


def test_without_that_it_is_lost(module):
    module.__spec__.loader.exec_module(module)
    assert module.lost


def test_elsewhere_ctrl_c_comes_at_once_and_the_handler_of_before_is_back():
    with interrupts_after_imports(), pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_who_handles_the_signal_already_goes_on_doing_so():
    came = []
    before = signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    try:
        with interrupts_after_imports():
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
    assert came == [signal.SIGINT]


def test_outside_the_main_thread_nothing_is_set():
    found = []

    def look():
        with interrupts_after_imports():
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert found == [signal.default_int_handler]
