"""PPO with GAIL's reward and an annealed cloning term, on Stable-Baselines3's PPO."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env import VecEnvWrapper
from torch import Tensor, nn

from roman_moe.core.errors import RomanError
from roman_moe.core.spec import GATE
from roman_moe.learning.algorithms import bc
from roman_moe.learning.algorithms.actor_critic import ActorCritic
from roman_moe.learning.algorithms.gail import Discriminator, discriminator_loss
from roman_moe.learning.algorithms.noise import ObservationNoise
from roman_moe.learning.algorithms.training_envs import TrainingEnvs
from roman_moe.learning.policies.mlp import GATE_GAIN, MLPPolicy
from roman_moe.learning.recipes.hybrid import HybridNetworkRecipe
from roman_moe.learning.samples import Samples


class DivergedError(RomanError):
    """A loss or weight that is no longer finite."""


@dataclass
class RewardParts:
    """Sums over the rollouts since they were last read: what the weighted rewards were made of."""

    imitation: float = 0.0
    extrinsic: float = 0.0
    decisions: int = 0
    solved: int = 0
    ended: int = 0


class MixedReward(VecEnvWrapper):
    """r = scale (w_I r_I + w_E r_E); r_I is of the state that an action led to, or of the action in the state before.

    Attributes:
        parts: what the rewards since the last reading were made of, unscaled.
        imitation: whether w_I counts at present.
    """

    def __init__(self, envs: TrainingEnvs, recipe: HybridNetworkRecipe, discriminator: Discriminator | None) -> None:
        super().__init__(envs)
        self._recipe = recipe
        self._discriminator = discriminator
        self._before = self._taken = np.zeros(0, np.float32)
        self.parts = RewardParts()
        self.imitation = False

    def begin(self, seed: int) -> NDArray[np.float32]:
        """Begin new episodes everywhere from one seed; answers their observations."""
        envs: TrainingEnvs = self.venv  # type: ignore[assignment]
        self._before = envs.begin(seed)
        return self._before

    def reset(self) -> Any:
        return self.begin(0)

    def step_async(self, actions: NDArray[np.float32]) -> None:
        self._taken = actions
        self.venv.step_async(actions)

    def step_wait(self) -> Any:
        answer: Any = self.venv.step_wait()
        observations, extrinsic, done, infos = answer
        recipe, parts = self._recipe, self.parts
        rewards = recipe.reward.strength * extrinsic
        parts.extrinsic += float(extrinsic.sum())
        if self._discriminator is not None and self.imitation:
            judged = self._before  # with actions: what D learns from are a scene and the answer to it
            if not recipe.gail.use_actions:
                judged = observations.copy()
                for i in np.flatnonzero(done):
                    judged[i] = infos[i]["terminal_observation"]
            imitation = self._discriminator.reward(judged, self._taken)
            parts.imitation += float(imitation.sum())
            rewards = rewards + recipe.gail.strength * imitation
        self._before = observations
        parts.decisions += len(done)
        parts.ended += int(done.sum())
        parts.solved += sum(infos[i]["outcome"] == "success" for i in np.flatnonzero(done))
        return observations, (recipe.reward.scale * rewards).astype(np.float32), done, infos


class _Silent(BaseCallback):
    def _on_step(self) -> bool:
        return True


class HybridPPO:
    """One network in training: actor, critic, discriminator and their optimisers, one update at a time.

    `state()` and the seed of `begin` hold everything on which the next updates depend. A run that is cut off and
    resumed therefore equals an uninterrupted one.
    """

    def __init__(
        self,
        policy: MLPPolicy,
        envs: TrainingEnvs,
        recipe: HybridNetworkRecipe,
        demonstrations: Samples,
        seed: int,
    ) -> None:
        self.policy = policy
        self.recipe = recipe
        self.envs = envs
        self.steps = self.updates = 0
        torch.set_num_threads(1)  # these networks are too small to share
        self._observations = torch.from_numpy(demonstrations.observations)
        self._answers = torch.from_numpy(demonstrations.answers)
        self._noise = ObservationNoise(policy.features, policy.units)
        # What is learned from own episodes is seen through more noise than what was demonstrated: a discriminator must
        # not tell them apart by that.
        recorded = demonstrations.noise_bound
        self._more_noise = torch.tensor(
            [np.sqrt(max(bound**2 - recorded**2, 0.0)) / 3.0 for bound in recipe.reinforcement.noise_bounds],
            dtype=torch.float32,
        )
        torch.manual_seed(seed)
        ppo = recipe.ppo
        self.discriminator: Discriminator | None = None
        if recipe.gail.strength:
            actions = len(policy.outputs) if recipe.gail.use_actions else 0
            self.discriminator = Discriminator(policy.observation, recipe.gail.hidden, actions)
            self._discriminator_optimiser = torch.optim.Adam(
                self.discriminator.parameters(), lr=recipe.gail.learning_rate
            )
        self.rewards = MixedReward(envs, recipe, self.discriminator)
        self.ppo = PPO(
            ActorCritic,
            self.rewards,
            learning_rate=lambda left: ppo.learning_rate * (left if ppo.decay else 1.0),
            n_steps=ppo.rollout,
            batch_size=ppo.batch_size,
            n_epochs=ppo.epochs,
            gamma=ppo.gamma,
            gae_lambda=ppo.gae_lambda,
            clip_range=lambda left: ppo.clip * (0.5 + 0.5 * left if ppo.decay else 1.0),
            ent_coef=ppo.entropy,
            vf_coef=ppo.value,
            max_grad_norm=ppo.max_gradient,
            target_kl=ppo.target_kl or None,
            policy_kwargs={"actor": policy, "log_std": ppo.log_std},
            device="cpu",
        )
        self.ppo.set_logger(Logger(None, []))  # its own one would make a folder in /tmp
        self.actor_critic: ActorCritic = self.ppo.policy  # type: ignore[assignment]
        self._cloning_optimiser = torch.optim.Adam(policy.parameters(), lr=recipe.cloning.learning_rate)
        self._callback = _Silent()
        self._callback.init_callback(self.ppo)
        self._started = False

    @property
    def cloning_share(self) -> float:
        """What is left of the cloning term at present, from 1 down to 0."""
        cloning = self.recipe.cloning
        return max(0.0, 1.0 - self.steps / cloning.steps) if cloning.strength else 0.0

    @property
    def imitates(self) -> bool:
        """Whether GAIL runs at present."""
        waits = self.recipe.schedule == "gail_after_cloning" and self.cloning_share > 0.0
        return self.discriminator is not None and not waits

    def begin(self, seed: int) -> None:
        """Begin a stretch of updates: new episodes and random numbers, which follow from the seed alone."""
        torch.manual_seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002 (Stable-Baselines3 shuffles its batches with it)
        ppo = self.ppo
        if not self._started:
            ppo._setup_learn(self.recipe.ppo.steps, self._callback)
            self._started = True
        ppo._last_obs = self.rewards.begin(seed)
        ppo._last_episode_starts = np.ones(self.envs.num_envs, bool)

    def update(self) -> dict[str, float]:
        """Collect one rollout and learn from it; answers what to log.

        Raises:
            DivergedError: if a weight is no longer finite.
        """
        ppo, recipe = self.ppo, self.recipe
        # No reward from a discriminator that has seen nothing yet, as in ml-agents.
        self.rewards.imitation = self.imitates and self.updates > 0
        before = self.envs.ticks
        try:
            ppo.collect_rollouts(self.rewards, self._callback, ppo.rollout_buffer, recipe.ppo.rollout)
        except ValueError as error:  # what torch's distributions say to a mean that is not finite
            raise self._diverged() from error
        self.steps += self.envs.ticks - before
        ppo._current_progress_remaining = max(0.0, 1.0 - self.steps / recipe.ppo.steps)
        rollout = torch.from_numpy(ppo.rollout_buffer.observations.reshape(-1, len(self.policy.features)).copy())
        actions = torch.from_numpy(ppo.rollout_buffer.actions.reshape(len(rollout), -1).copy())
        learns = self.updates >= recipe.ppo.critic_updates
        for parameter in (*self.policy.parameters(), self.actor_critic.log_std):
            parameter.requires_grad_(learns)
        try:
            ppo.train()
        except ValueError as error:
            raise self._diverged() from error
        self.policy.requires_grad_(True)
        log = {name: float(value) for name, value in ppo.logger.name_to_value.items() if name.startswith("train/")}
        if learns and self.cloning_share > 0.0:
            log["cloning/loss"] = self._clone()
        if self.imitates:
            log |= self._discriminate(rollout, actions)
        self._check_finite()
        self.updates += 1
        parts, self.rewards.parts = self.rewards.parts, RewardParts()
        log["rollout/imitation_reward"] = parts.imitation / max(parts.decisions, 1)
        log["rollout/extrinsic_reward"] = parts.extrinsic / max(parts.decisions, 1)
        log["rollout/success"] = parts.solved / parts.ended if parts.ended else float("nan")
        log["rollout/episodes"] = float(parts.ended)
        return log

    def _check_finite(self) -> None:
        parameters = list(self.actor_critic.parameters())
        if self.discriminator is not None:
            parameters += self.discriminator.parameters()
        if not all(bool(torch.isfinite(parameter).all()) for parameter in parameters):
            raise self._diverged()

    def _diverged(self) -> DivergedError:
        return DivergedError(
            f"{self.policy.name}: diverged at step {self.steps}: the last good checkpoint is kept; "
            "begin another run with a lower learning_rate in the recipe"
        )

    def _clone(self) -> float:
        """The annealed cloning term: gradient steps on the demonstrations; answers their mean loss."""
        recipe = self.recipe.cloning
        for group in self._cloning_optimiser.param_groups:
            group["lr"] = recipe.strength * recipe.learning_rate * self.cloning_share
        losses = []
        for rows in _batches(len(self._observations), recipe.batch_size, recipe.epochs):
            observations = self._noised(self._observations[rows])
            loss = bc.loss_of(self.policy, observations, self._answers[rows], self.recipe.clone)
            self._cloning_optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(self.policy.parameters(), bc.GRADIENT_LIMIT)
            self._cloning_optimiser.step()
            losses.append(loss.item())
        return float(np.mean(losses)) if losses else float("nan")

    def _discriminate(self, rollout: Tensor, actions: Tensor) -> dict[str, float]:
        """Train the discriminator on demonstrations against the rollout."""
        assert self.discriminator is not None
        recipe, discriminator = self.recipe.gail, self.discriminator
        losses, right = [], []
        for rows in _batches(len(rollout), recipe.batch_size, recipe.epochs):
            shown = torch.randint(len(self._observations), (len(rows),))
            answers = self._answers[shown]
            if self.policy.name == GATE:  # the action of the gate is its raw output, where weights are what was shown
                least = bc.least_weight(answers.shape[1])
                answers = (torch.log(answers.clamp(min=least)) / GATE_GAIN + 1.0).clamp(0.0, 1.0)
            with torch.no_grad():
                expert = discriminator.inputs(self._noised(self._observations[shown]), answers)
                low = 0.0 if self.policy.name == GATE else -1.0
                learner = discriminator.inputs(rollout[rows], actions[rows].clamp(low, 1.0))
            loss, share = discriminator_loss(discriminator, expert, learner, recipe.gradient_penalty, recipe.penalty_of)
            self._discriminator_optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            self._discriminator_optimiser.step()
            losses.append(loss.item())
            right.append(float(share))
        return {"gail/loss": float(np.mean(losses)), "gail/accuracy": float(np.mean(right))}

    def _noised(self, observations: Tensor) -> Tensor:
        """Demonstrated observations, seen through the noise of reinforcement learning, (B, n)."""
        result = observations.clone()
        sigma = self._more_noise[torch.randint(len(self._more_noise), (len(result), 1))]
        self._noise.add(result, sigma, 3.0 * sigma)
        return result

    def state(self) -> dict[str, Any]:
        """Everything that later updates depend on besides the seed: tensors and plain numbers alone."""
        state: dict[str, Any] = {
            "steps": self.steps,
            "updates": self.updates,
            "epochs": self.ppo._n_updates,
            "actor_critic": self.actor_critic.state_dict(),
            "optimiser": self.actor_critic.optimizer.state_dict(),
            "cloning_optimiser": self._cloning_optimiser.state_dict(),
        }
        if self.discriminator is not None:
            state["discriminator"] = self.discriminator.state_dict()
            state["discriminator_optimiser"] = self._discriminator_optimiser.state_dict()
        return state

    def load_state(self, state: dict[str, Any]) -> None:
        self.steps, self.updates = state["steps"], state["updates"]
        self.ppo._n_updates = state["epochs"]
        self.actor_critic.load_state_dict(state["actor_critic"])
        self.actor_critic.optimizer.load_state_dict(state["optimiser"])
        self._cloning_optimiser.load_state_dict(state["cloning_optimiser"])
        if self.discriminator is not None:
            self.discriminator.load_state_dict(state["discriminator"])
            self._discriminator_optimiser.load_state_dict(state["discriminator_optimiser"])


def _batches(count: int, size: int, epochs: float) -> Iterator[Tensor]:
    """Rows of random batches, each row about `epochs` times."""
    for _ in range(round(epochs * count / size)):
        yield torch.randint(count, (min(size, count),))
