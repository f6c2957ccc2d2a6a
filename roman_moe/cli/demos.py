"""`roman-moe demos`: lists, checks, replays, edits and converts recorded demonstrations."""

from __future__ import annotations

import contextlib
import dataclasses
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import tyro
from rich.console import Console
from rich.table import Column, Table

from roman_moe.cli.demo import draw_video, spoken
from roman_moe.cli.demos_write import Edit, Export, Import, OnDemos
from roman_moe.cli.options import Flag, OptionalFile, Simulation, say, write_report
from roman_moe.cli.user_errors import reason
from roman_moe.core.errors import ConfigError, RomanError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from roman_moe.demos.reader import Episode
    from roman_moe.demos.survey import Survey
    from roman_moe.sim.task import SimTask

BAGS = ("rosbags", "mcap")


@dataclass(frozen=True)
class List(OnDemos):
    """List the episodes: outcome, source, length, rate, corrections."""

    needs = BAGS

    json: OptionalFile = None
    """Write the list to this file."""

    def main(self) -> int:
        """0 when it is shown; a damaged episode is shown with the reason."""
        found, console = self.survey(), Console()
        rows = [_row(found, episode) for episode in found.episodes]
        table = Table(Column("episode", overflow="fold"), "outcome", "source", "ticks", "seconds", "Hz", "corrected")
        for row in rows:
            corrected = "-" if row["corrected_share"] is None else f"{row['corrected_share']:.0%}"
            numbers = (str(row["ticks"]), f"{row['seconds']:.1f}", f"{row['rate']:.1f}")
            table.add_row(row["episode"], row["outcome"], row["source"], *numbers, corrected)
        console.print(table)
        for error in found.damaged.values():
            say(console, error)
        write_report(self.json, {"task": found.spec.name, "episodes": rows, "damaged": [*found.damaged.values()]})
        return 0


@dataclass(frozen=True)
class Info(OnDemos):
    """Show metadata, gaps and hashes of an episode or a dataset."""

    needs = BAGS

    json: OptionalFile = None
    """Write it to this file."""

    def main(self) -> int:
        found = self.survey()
        is_one = [episode.path for episode in found.episodes] == [self.demos.resolve()]
        facts = _facts_of_one(found) if is_one else _facts_of_set(found)
        for key, value in facts.items():
            print(f"{key}: {value}")
        for error in found.damaged.values():
            print(error)
        write_report(self.json, facts)
        return 0


@dataclass(frozen=True)
class Plot(OnDemos):
    """Draw an episode over time, or the hand's paths of a dataset."""

    needs = (*BAGS, "matplotlib")

    plot: Annotated[Path, tyro.conf.arg(metavar="FILE")] = Path("demos.png")
    """Picture to write: .png, .pdf or .svg."""

    def main(self) -> int:
        from roman_moe.report.demo_plots import plot_episode, plot_set

        found, console = self.survey(), Console()
        for error in found.damaged.values():
            say(console, error)
        if not found.episodes:
            return 1
        first = found.episodes[0]
        if first.path == self.demos.resolve():
            plot_episode(first, found.spec, self.plot, f"{found.name(first)}: {spoken(first.meta.outcome)}")
        else:
            plot_set(found.episodes, found.spec, self.plot, str(self.demos))
        say(console, f"{self.plot}: {len(found.episodes)} episodes drawn")
        return 0


@dataclass(frozen=True)
class Check(OnDemos):
    """Find damaged and implausible episodes."""

    needs = BAGS

    task: Simulation = ""
    """Name or folder of the task that judges outcomes; by default the demonstrations' own, if it is installed."""

    quick: Flag = False
    """Skip the check of outcomes, which simulates every episode again."""

    json: OptionalFile = None
    """Write the findings to this file."""

    def main(self) -> int:
        """0 if nothing is wrong; 1 if something is: one line each."""
        from roman_moe.demos.survey import idle_stretches, problems
        from roman_moe.demos.unfinished import unfinished

        found, console = self.survey(), Console()
        wrong, notes = list(found.damaged.values()), unfinished(self.demos.resolve())
        for line in wrong:
            say(console, line)
        task, judged = self._simulated(found, console), 0
        for episode in found.episodes:
            lines = list(problems(episode, found.spec))
            if task is not None:
                from roman_moe.evaluation.replay import wrong_outcome

                with contextlib.suppress(RomanError):  # no start is known from which it could be simulated again
                    lines += [line for line in [wrong_outcome(episode, task)] if line]
                    judged += 1
            lines = [f"{episode.path}: {line}" for line in lines]
            for line in lines:
                say(console, line)
            wrong += lines
            notes += [f"{episode.path}: idle from {a:.1f} to {b:.1f} s" for a, b in idle_stretches(episode)]
        for line in notes:
            say(console, f"note: {line}")
        total, damaged = len(found.episodes) + len(found.damaged), len(found.damaged)
        say(console, f"{total} episodes: {damaged} damaged, {len(wrong)} problems, {judged} outcomes judged")
        write_report(self.json, {"episodes": total, "problems": wrong, "notes": notes, "outcomes_judged": judged})
        return 1 if wrong else 0

    def _simulated(self, found: Survey, console: Console) -> SimTask | None:
        """The task that judges outcomes; None, with a line that says why, if nothing can."""
        if self.quick:
            return None
        try:
            return _simulation(found, self.task)
        except (RomanError, ImportError) as error:
            if self.task:
                raise
            say(console, f"outcomes are not judged: {reason(error)}")
            return None


@dataclass(frozen=True)
class Replay(OnDemos):
    """Replay commands in open loop in simulation, or show the scenes."""

    states: Flag = False
    """Draw a video of one episode's recorded scenes, without physics, instead of replaying commands in open loop."""

    out: OptionalFile = None
    """Video to write of one episode, such as replay.mp4."""

    task: Simulation = ""
    """Name or folder of the task to simulate; by default the demonstrations' own, from the working directory or
    installed."""

    json: OptionalFile = None
    """Write errors and outcomes to this file."""

    @property
    def needs(self) -> tuple[str, ...]:
        return (*BAGS, "mujoco", *(("PIL", "imageio_ffmpeg") if self.out else ()))

    def main(self) -> int:
        """0 if every outcome is that of the recording; 1 if one is not."""
        if self.states and self.out is None:
            raise ConfigError("--states shows the scenes as a video: name it, as in --out replay.mp4")
        found, console = self.survey(), Console()
        for error in found.damaged.values():
            say(console, error)
        if self.out and len(found.episodes) != 1:
            raise ConfigError(f"--out: {self.demos} holds {len(found.episodes)} episodes: name one to draw")
        task = _simulation(found, self.task)
        if self.states:
            from roman_moe.evaluation.replay import recorded_states

            (episode,) = found.episodes
            self._draw(console, found, episode, recorded_states(episode, task), task, "recorded scenes, no physics")
            return 0
        return self._replay(console, found, task)

    def _replay(self, console: Console, found: Survey, task: SimTask) -> int:
        from roman_moe.evaluation.replay import replay

        rows, same = [], True
        for episode in found.episodes:
            try:
                again = replay(episode, task)
            except RomanError as error:
                say(console, str(error))
                continue
            mean, most = 1e3 * again.errors.mean(), 1e3 * again.errors.max()
            rows.append(
                {
                    "episode": found.name(episode),
                    "recorded": episode.meta.outcome,
                    "outcome": again.outcome.value,
                    "mean_error_mm": mean,
                    "largest_error_mm": most,
                    "ticks": len(again.errors),
                }
            )
            same &= not again.judged or again.outcome.value == episode.meta.outcome
            outcome = spoken(again.outcome.value) if again.judged else "ended by the operator"
            say(
                console,
                f"{found.name(episode)}: commands in open loop: hand {mean:.2f} mm off on average, {most:.2f} mm at "
                f"most, over {len(again.errors)} ticks; {outcome}, recorded was {spoken(episode.meta.outcome)}",
            )
            if self.out:
                self._draw(console, found, episode, again.physics_states, task, "commands in open loop")
        write_report(self.json, {"episodes": rows})
        return 0 if same and len(rows) == len(found.episodes) and not found.damaged else 1

    def _draw(
        self, console: Console, found: Survey, episode: Episode, states: NDArray[Any], task: SimTask, what: str
    ) -> None:
        import numpy as np

        from roman_moe.core.spec import GATE
        from roman_moe.demos.survey import times
        from roman_moe.report.trace import Trace
        from roman_moe.sim.world import World

        if self.out is None:
            return
        spec, ticks = found.spec, len(states)
        weights = episode.answers if episode.meta.network == GATE else episode.weights
        if weights is None:
            weights = np.tile([float(skill == episode.meta.network) for skill in spec.skills], (ticks, 1))
        seconds = times(episode)[:ticks]
        trace = Trace(spec, spec.skill_names, seconds, weights[:ticks], states, float(seconds[-1]) + 1e-3)
        note = f"Recorded: {spoken(episode.meta.outcome)}"
        draw_video(console, trace, World(task, episode.meta.rate), self.out, found.name(episode), note)
        say(console, f"{self.out}: {what}")


class Demos:
    """List, check, replay, edit and convert demonstrations."""

    PARTS: ClassVar[Mapping[str, type]] = {
        part.__name__.lower(): part for part in (List, Info, Plot, Check, Replay, Edit, Export, Import)
    }


def _simulation(found: Survey, task: str) -> SimTask:
    from roman_moe.evaluation.controllers import simulation_of

    return simulation_of(found.spec, task)


def _row(found: Survey, episode: Episode) -> dict[str, Any]:
    from roman_moe.demos.survey import measured_rate, times

    meta = episode.meta
    return {
        "episode": found.name(episode),
        "network": meta.network,
        "outcome": meta.outcome,
        "source": meta.source,
        "ticks": len(episode.states),
        "seconds": float(times(episode)[-1]),
        "rate": measured_rate(episode),
        "corrected_share": None if episode.drove is None else float(episode.drove.mean()),
    }


def _facts_of_one(found: Survey) -> dict[str, Any]:
    from roman_moe.demos.dataset import episode_hash
    from roman_moe.demos.survey import gaps

    (episode,) = found.episodes
    missing = [f"{count} scenes after {moment:.2f} s" for moment, count in gaps(episode)]
    return {
        **dataclasses.asdict(episode.meta),
        **_row(found, episode),
        "left_out": episode.left_out,
        "gaps": ", ".join(missing) or "none",
        "sha256": episode_hash(episode.path, found.spec),
    }


def _facts_of_set(found: Survey) -> dict[str, Any]:
    from roman_moe.demos.dataset import dataset_hash
    from roman_moe.demos.survey import times

    facts: dict[str, Any] = {"task": found.spec.name, "task_sha256": found.spec.digest}
    facts["episodes"], facts["damaged"] = len(found.episodes), len(found.damaged)
    for network in sorted({episode.meta.network for episode in found.episodes}):
        episodes = [episode for episode in found.episodes if episode.meta.network == network]
        outcomes = Counter(episode.meta.outcome for episode in episodes)
        ticks = sum(len(episode.states) for episode in episodes)
        seconds = sum(float(times(episode)[-1]) for episode in episodes)
        said = ", ".join(f"{count} {spoken(outcome)}" for outcome, count in outcomes.items())
        facts[network] = f"{len(episodes)} episodes ({said}), {ticks} ticks, {seconds:.0f} s"
        if not found.damaged:
            facts[f"{network} sha256"] = dataset_hash(found.root, found.spec, network)
    return facts
