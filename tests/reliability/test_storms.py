"""A few seconds of each attack program, seeded by NNCORE_TEST_SEED; `make storm` goes on for longer."""

import os
import pathlib
import subprocess
import sys

import pytest

SEED = os.environ.get("NNCORE_TEST_SEED", "20260")


def storm(name, *arguments, seconds=3.0):
    """Run a program for so long; it must end well. A loaded machine is slow: calls may take longer than in a run by hand."""
    program = pathlib.Path(__file__).with_name(f"{name}.py")
    command = [sys.executable, str(program), "--seconds", str(seconds), "--seed", SEED, "--longest", "5", *arguments]
    found = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert found.returncode == 0, f"{' '.join(command)}\n{found.stdout}\n{found.stderr}"


@pytest.mark.parametrize("rounds", ["busy", "still", "counted"])
def test_threads_do_anything_at_once(rounds):
    storm("storm_threads", "--rounds", rounds, "--round-seconds", "0.5")


def test_interrupts_leave_a_usable_model():
    storm("storm_interrupts", "--long-part", "0", seconds=4.0)


def test_long_calls_can_be_interrupted():
    storm("storm_interrupts", "--long-part", "1", "--only", "long", "--latency", "0.5")  # by hand, 0.1: other programs run besides


@pytest.mark.parametrize("scene", ["after_libraries", "while_threads", "from_a_callback", "from_inside", "child_of_child", "pools"])
def test_children_can_do_everything(scene):
    storm("storm_forks", "--forks", "4", "--only", scene)


@pytest.mark.parametrize("attack", ["methods", "exceptions", "liars", "memory"])
def test_anything_from_inside(attack):
    storm("storm_inside", "--attacks", attack)
