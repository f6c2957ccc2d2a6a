"""Ablations: the shipped recipe with one part changed at a time, the same seeds and demonstrations for all.

Every method is trained anew for every seed and then evaluated on scenarios. The folder keeps what is done, method by
method and seed by seed, so that a study that was cut off goes on where it was. Other episodes, scenarios or channels
than before are evaluated without training again. A study of skills trains their experts only, and judges each alone.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from roman_moe.control.identity import ORACLE
from roman_moe.control.rates import Rates
from roman_moe.core.config import merged
from roman_moe.core.errors import ConfigError
from roman_moe.core.files import alone_in, write_file, write_json
from roman_moe.core.provenance import git_commit
from roman_moe.core.spec import GATE, MONOLITHIC, TaskSpec
from roman_moe.demos.dataset import dataset_hash
from roman_moe.evaluation.collect import Collection, collect
from roman_moe.evaluation.evaluate import Evaluation, evaluate
from roman_moe.evaluation.pool import Cluster, Workers, run_jobs
from roman_moe.evaluation.statistics import success_rate
from roman_moe.learning.export import policy_content
from roman_moe.learning.recipes.hybrid import HybridRecipe, load_hybrid_recipe, recipe_of
from roman_moe.learning.runs.run import BUNDLE, RECIPE, RECORD, Run, new_record, train_run, write_description
from roman_moe.learning.runs.trainer import TrainingJob, load_best, train_network
from roman_moe.sim.channel import GOOD_CHANNEL, ChannelQuality
from roman_moe.sim.pose_source import TruthPoses
from roman_moe.sim.task import SimTask

_FROM_SCRATCH = {"warm_start": False, "cloning": {"strength": 0.0}}

_HANDED_OVER = {"handed_over_share": 0.5}

METHODS: Mapping[str, Mapping[str, Any]] = {
    "bc": {"ppo": {"steps": 0}},
    "ppo_sparse": {**_FROM_SCRATCH, "gail": {"strength": 0.0}, "reward": {"progress": 0.0}},
    "ppo_shaped": {**_FROM_SCRATCH, "gail": {"strength": 0.0}},
    "gail_ppo": _FROM_SCRATCH,
    "bc_ppo": {"gail": {"strength": 0.0}},
    "hybrid": {},
    "hybrid_state_action": {"gail": {"use_actions": True}},
    "bc_5_demos": {"demonstrations": 5, "ppo": {"steps": 0}},
    "bc_ppo_5_demos": {"demonstrations": 5, "gail": {"strength": 0.0}},
    "hybrid_5_demos": {"demonstrations": 5},
    "bc_ppo_10_demos": {"demonstrations": 10, "gail": {"strength": 0.0}},
    "bc_10_demos": {"demonstrations": 10, "ppo": {"steps": 0}},
    "hybrid_handed_over_5_demos": {"demonstrations": 5, "reinforcement": _HANDED_OVER, "validation": _HANDED_OVER},
    "hybrid_probability_5_demos": {"demonstrations": 5, "gail": {"penalty_of": "probability"}},
    "hybrid_10_demos": {"demonstrations": 10},
    "hybrid_40_demos": {"demonstrations": 40},
    MONOLITHIC: {},
}
"""What each method changes for all networks. `hybrid` is ours, with 20 demonstrations a skill."""

QUESTIONS: Mapping[str, Mapping[str, str]] = {
    "Does it take several networks?": {"hybrid": "experts and a gate (ours)", MONOLITHIC: "one network"},
    "Which parts of the training does it take?": {
        "hybrid": "cloning + GAIL + PPO (ours)",
        "bc_ppo": "cloning + PPO",
        "bc": "cloning alone",
        "gail_ppo": "GAIL + PPO",
        "ppo_shaped": "PPO alone, rewarded for progress",
        "ppo_sparse": "PPO alone, rewarded for success",
    },
    "Should the discriminator see actions?": {
        "hybrid": "states alone (ours)",
        "hybrid_state_action": "states and actions",
    },
    "Which slope should the discriminator's penalty hold, from 5 demonstrations?": {
        "hybrid_5_demos": "its logit's (ours)",
        "hybrid_probability_5_demos": "its own, as in ROMAN",
        "bc_ppo_5_demos": "no discriminator",
    },
    "How many demonstrations a skill does it take?": {
        "bc_5_demos": "5, cloning alone",
        "bc_ppo_5_demos": "5, cloning + PPO",
        "hybrid_5_demos": "5, cloning + GAIL + PPO",
        "hybrid_handed_over_5_demos": "5, the same, half of it from hand-overs",
        "bc_10_demos": "10, cloning alone",
        "bc_ppo_10_demos": "10, cloning + PPO",
        "hybrid_10_demos": "10, cloning + GAIL + PPO",
        "bc": "20, cloning alone",
        "hybrid": "20, cloning + GAIL + PPO (ours)",
        "hybrid_40_demos": "40, cloning + GAIL + PPO",
    },
}
"""What the methods are compared for, and what each is called there."""

GATE_SHARE = 0.3
"""Demonstrations of the gate from each scenario, for each of a skill's: six for twenty."""
EVALUATION_SEED = 1000
"""Added to a training's seed: nothing is judged on episodes that it was validated on."""


@dataclass(frozen=True, slots=True)
class Study:
    """What to compare.

    Attributes:
        folder: where everything goes.
        methods: keys of `METHODS`.
        seeds: how many; 0, 1, 2, ...
        episodes: of each scenario or skill, for each seed.
        skills: whose experts are trained and evaluated, each alone, instead of the mixture on scenarios; none for that.
        poses: what gives the object poses of the evaluation.
        channel: of the evaluation: how well commands get through to the arm.
        time_limit: after which an episode of the evaluation counts as lost [s].
        budget: share of the recipe's environment steps, and of the annealing, that every method gets.
        workers: processes, that the networks of one training share; or a cluster, on which all trainings run at once.
        source: who demonstrates the skills: "oracle" or "keyboard"; the gate's demonstrations are the oracle's.
    """

    task: SimTask
    folder: Path
    recipe: HybridRecipe
    methods: Sequence[str]
    seeds: int
    episodes: int
    scenarios: Sequence[int]
    poses: TruthPoses
    skills: Sequence[str] = ()
    channel: ChannelQuality = GOOD_CHANNEL
    time_limit: float = 240.0
    budget: float = 1.0
    workers: Workers = 1
    source: str = ORACLE

    @property
    def spec(self) -> TaskSpec:
        return self.task.spec

    @property
    def trained(self) -> Sequence[str]:
        """Networks that every method trains."""
        return self.skills or self.spec.networks


def ablate(study: Study, on_method: Callable[[str, int, dict[str, Any]], None]) -> dict[str, Any]:
    """Train and evaluate all methods; answers the report.

    Args:
        on_method: called with method, seed and evaluation as each is done.

    Raises:
        ConfigError: if the folder holds networks that were trained by another recipe or with another budget.
    """
    reports: dict[tuple[str, int], dict[str, Any]] = {}
    for method in study.methods:
        _recipe(study, method)  # what cannot be trained is refused before the first training
    # Seed by seed: a study that is cut off has compared all methods at least once.
    trainings = [_Training(study, method, seed) for seed in range(study.seeds) for method in study.methods]
    at_once: Workers = 1
    if isinstance(study.workers, Cluster):
        at_once = study.workers
        for training in trainings:  # which several of them share
            if not training.evaluation_file.exists():
                training.demonstrations()
    for index, report in run_jobs(_trained_and_evaluated, trainings, at_once):
        training = trainings[index]
        reports[training.method, training.seed] = report
        on_method(training.method, training.seed, report)
    return {
        "methods": {
            method: _pooled([reports[method, seed] for seed in range(study.seeds)]) for method in study.methods
        },
        "seeds": study.seeds,
        "episodes": study.episodes,
        "noise_bound_m": study.poses.noise_bound,
        "delay_ticks": study.channel.delay,
        "lost_share": study.channel.lost_share,
        "time_limit_s": study.time_limit,
        "budget": study.budget,
        "source": study.source,
        "git_commit": git_commit(),
    }


def _pooled(reports: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One method's results over all seeds."""

    def pooled(kind: str, start: str) -> dict[str, Any]:
        rows = [report[kind][start] for report in reports]
        episodes, successes = sum(row["episodes"] for row in rows), sum(row["successes"] for row in rows)
        return {**success_rate(successes, episodes), "by_seed": [row["rate"] for row in rows]}

    return {
        **{kind: {start: pooled(kind, start) for start in reports[0][kind]} for kind in ("scenarios", "skills")},
        "environment_steps": [report["environment_steps"] for report in reports],
        "controllers": [{key: report.get(key) for key in ("controller", "controller_sha256")} for report in reports],
    }


def _demonstrations(study: Study, recipe: HybridRecipe, monolithic: bool = False) -> Path:
    """The dataset of a method, collected if it is not there yet.

    All methods draw from the dataset that the study's own recipe needs, fewer of its demonstrations or as many. A
    method that needs more has a dataset of its own, whose first episodes are the same. The monolithic network's dataset
    has the same ones as well, by their seeds, with the action as the answer throughout.
    """
    networks, name = study.recipe.networks, "demos"
    skill = study.trained[0]
    if monolithic:
        name = f"demos_{MONOLITHIC}"
    elif (more := recipe.networks[skill].demonstrations) > networks[skill].demonstrations:
        networks, name = recipe.networks, f"demos_{more}"
    out = study.folder / name
    plan = Collection(
        task=study.task,
        out=out,
        episodes=networks[skill].demonstrations,
        gate_episodes=networks[GATE].demonstrations if GATE in study.trained else 0,
        poses=TruthPoses(0.005),
        perturbation=0.5,
        disturbed_share=1.0,
        poor_channel_share=0.5,
        seed=0,
        monolithic=monolithic,
        workers=study.workers,
        skills=study.skills,
    )
    keys = dataclasses.replace(
        plan, gate_episodes=0, perturbation=0.0, disturbed_share=0.0, poor_channel_share=0.0, source=study.source
    )
    parts = [plan] if study.source == ORACLE else [keys, dataclasses.replace(plan, episodes=0)]
    for part in parts if GATE in study.trained else parts[:1]:
        first = out if part is plan else out / (skill if part.episodes else GATE)
        if not first.exists():  # each is whole or not there at all
            collect(part)
    return out


def _recipe(study: Study, method: str) -> HybridRecipe:
    """The study's recipe with what a method changes, and the budget."""
    plain = study.recipe.to_dict()["networks"]
    changes = dict(METHODS[method])
    demonstrations = changes.pop("demonstrations", None)
    for name, network in plain.items():
        network.update(merged(network, changes))
        if demonstrations is not None:
            share = GATE_SHARE if name == GATE else 1.0
            network["demonstrations"] = max(1, round(share * demonstrations))
    return recipe_of(study.spec.networks, study.recipe.rates, {}, plain, method).with_budget(study.budget)


@dataclass(frozen=True, slots=True)
class _Training:
    """One method, trained from one seed."""

    study: Study
    method: str
    seed: int

    @property
    def folder(self) -> Path:
        return self.study.folder / self.method / f"seed_{self.seed}"

    @property
    def asked(self) -> list[Any]:
        study, channel = self.study, self.study.channel
        starts = list(study.skills or study.scenarios)
        return [starts, study.episodes, study.poses.noise_bound, channel.delay, channel.lost_share, study.time_limit]

    @property
    def evaluation_file(self) -> Path:
        return _evaluation_file(self.folder, self.asked)

    def recipe(self) -> HybridRecipe:
        recipe = _recipe(self.study, self.method)
        return _monolithic(recipe) if self.method == MONOLITHIC else recipe

    def demonstrations(self) -> Path:
        return _demonstrations(self.study, self.recipe(), self.method == MONOLITHIC)


def _trained_and_evaluated(training: _Training) -> dict[str, Any]:
    with alone_in(training.folder):
        return _report(training)


def _report(training: _Training) -> dict[str, Any]:
    study, method, seed, folder = training.study, training.method, training.seed, training.folder
    recipe = training.recipe()
    kept = folder / "run" / RECIPE
    if kept.exists() and load_hybrid_recipe(kept, study.spec) != recipe:
        raise ConfigError(f"{folder}: was trained by another recipe or with another --budget: choose another --out")
    done = training.evaluation_file
    if done.exists():
        return json.loads(done.read_text(encoding="utf-8"))
    if method == MONOLITHIC:
        controller, steps = _train_monolithic(training, recipe)
    else:
        run = Run(study.task, folder / "run", recipe, training.demonstrations(), seed, study.workers)
        record = train_run(run, study.trained, resume=(folder / "run" / RECORD).exists())
        controller, steps = run.folder / BUNDLE, record["environment_steps"]
    evaluation = Evaluation(
        controller=str(controller),
        task=study.task,
        scenarios=study.scenarios,
        skills=(),
        episodes=study.episodes,
        poses=study.poses,
        seed=seed + EVALUATION_SEED,
        workers=study.workers,
        time_limit=study.time_limit,
        channel=study.channel,
    )
    report = _evaluated_alone(evaluation, run, study.skills) if study.skills else evaluate(evaluation)
    report |= {"environment_steps": steps, "asked": training.asked}
    write_json(done, report)
    return report


def _evaluated_alone(evaluation: Evaluation, run: Run, skills: Sequence[str]) -> dict[str, Any]:
    """The report on a run's experts, each from its own file and in its own skill."""
    rows: dict[str, Any] = {}
    for skill in skills:
        file = _exported(run.spec, run.folder / skill, run.recipe.rates)
        alone = dataclasses.replace(evaluation, controller=str(file), scenarios=(), skills=(skill,))
        rows |= evaluate(alone)["skills"]
    return {"controller": str(run.folder), "scenarios": {}, "skills": rows}


def _exported(spec: TaskSpec, folder: Path, rates: Rates) -> Path:
    """The .onnx file, beside its folder, of the best policy of a training."""
    file = folder.with_suffix(".onnx")
    write_file(file, policy_content(load_best(spec, folder), rates))
    return file


def _evaluation_file(folder: Path, asked: list[Any]) -> Path:
    """evaluation.json; what is asked anew after that has a file of its own, so that no evaluation is lost."""
    first = folder / "evaluation.json"
    if not first.exists() or json.loads(first.read_text(encoding="utf-8"))["asked"] == asked:
        return first
    return folder / f"evaluation_{hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:12]}.json"


def _monolithic(recipe: HybridRecipe) -> HybridRecipe:
    """One network for the whole task, with all demonstrations and as many environment steps as all others together.

    It stands under every name, so that the file has a recipe's layout.
    """
    networks = recipe.networks
    first = next(name for name in networks if name != GATE)
    steps = sum(network.ppo.steps for network in networks.values())
    base, gate = networks[first], networks[GATE]
    whole = dataclasses.replace(
        base,
        clone=dataclasses.replace(base.clone, steps=sum(network.clone.steps for network in networks.values())),
        ppo=dataclasses.replace(base.ppo, steps=steps),
        cloning=dataclasses.replace(base.cloning, steps=steps),
        reinforcement=gate.reinforcement,
        validation=dataclasses.replace(gate.validation, updates=4 * gate.validation.updates),
    )
    return HybridRecipe(recipe.rates, dict.fromkeys(networks, whole))


def _train_monolithic(training: _Training, recipe: HybridRecipe) -> tuple[Path, int]:
    """Train the monolithic network, or go on with it; answers its ONNX file and the environment steps that it took."""
    study, folder, seed = training.study, training.folder / "run", training.seed
    demonstrations = training.demonstrations()
    if not (folder / RECIPE).exists():
        record = {
            **new_record(seed),
            "demonstrations": {MONOLITHIC: dataset_hash(demonstrations, study.spec, MONOLITHIC)},
        }
        write_json(folder / RECORD, record)
        write_description(folder, study.spec, recipe)
    job = TrainingJob(
        study.task, folder, MONOLITHIC, recipe.networks[GATE], recipe.rates, demonstrations, seed, study.workers
    )
    row = train_network(job)
    return _exported(study.spec, job.folder, recipe.rates), row["steps"] + row["validation_steps"]
